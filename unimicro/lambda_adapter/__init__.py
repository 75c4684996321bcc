"""AWS Lambda: events in, answers in the shape of their source out."""

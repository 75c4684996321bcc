"""The FastAPI server with its dispatch endpoint, and the codecs."""

"""The same Lambda function written for each peer: ``GET /hello/{name}`` answers ``{"hello": name}``.

Each module has ``build(further)``, which registers that many other routes ``/other<n>/{name}`` before this
one, and ``handler``, which Lambda would call.
"""

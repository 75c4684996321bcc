"""The same endpoints in unimicro and written by hand, for ``http_door.py``.

``POST /invoke`` (msgpack) echoes its one argument; ``GET /items/{item_id}?limit=5`` answers
``{"item_id": 42, "limit": 5}``. All but the raw echo want the token of the environment's ``TOKEN``.
"""

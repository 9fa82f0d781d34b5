"""The wire: HTTP requests to texts and options, vectors and errors to responses.

app.py joins the dialects into one FastAPI application: feature_extraction.py (Hugging Face, text-embeddings-inference's /embed) and
server.py (/health, /info). errors.py owns every status, encoding.py the bytes of the vectors.

Law: the only folder, with functions/api.py, that knows FastAPI and Mangum. Knows the service, never the model behind it.
"""

"""The wire: HTTP requests to texts and options, vectors and errors to responses.

gate.py lets in who may and tells every failure; app.py joins the dialects
into one FastAPI application: feature_extraction.py, similarity.py (Hugging Face), openai.py, tei.py (text-embeddings-inference),
and what a browser is shown, documentation.py: openapi.py, the document, and pages.py, which puts the files of page/ together.
Each takes a call.py and answers by answers.py; errors.py owns every status.

lazy_fastapi.py imports FastAPI without what no embedding asks for.

Law: the only folder, with functions/api.py, that knows FastAPI and Mangum.
"""

from handler.http import lazy_fastapi as lazy_fastapi  # before any module here imports FastAPI

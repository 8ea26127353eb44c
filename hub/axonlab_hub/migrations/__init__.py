"""How the tables came to be what they are, step by step; `axonlab_hub.schema` runs what is missing."""

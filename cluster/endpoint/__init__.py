"""The endpoint: a Ray Serve application of a gateway, one deployment per task encoder, and the shared decoder."""

"""The chat protocol: requests and responses of the OpenAI chat API with what Interlace adds. Knows neither HTTP
servers nor Ray."""

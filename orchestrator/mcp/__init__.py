"""A server of the Model Context Protocol: sweeps for programs that talk with language models."""

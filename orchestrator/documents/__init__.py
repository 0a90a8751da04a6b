"""What commands print with --json: a pydantic model for each document, and their JSON Schema (docs/json.md)."""

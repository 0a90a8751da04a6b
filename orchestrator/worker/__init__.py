"""What runs where a trial runs. Knows nothing of MLflow or YAML."""

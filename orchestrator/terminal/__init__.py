"""What people see in a terminal, or in what is piped."""

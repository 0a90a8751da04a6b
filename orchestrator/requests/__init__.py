"""What people ask of a launch while it runs, from another terminal: requests through a folder, and their answers."""

"""How far trials are, how long they take, and what they take of the machine."""

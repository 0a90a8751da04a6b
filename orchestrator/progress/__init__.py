"""How far trials are, how long they take, and what ends a sweep before its last trial."""

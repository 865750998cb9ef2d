"""Code of users: what type checkers must accept, and what they must refuse."""

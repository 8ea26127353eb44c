"""A lab server: one Linux machine for one course, with own passwords, own system users, and TLS."""

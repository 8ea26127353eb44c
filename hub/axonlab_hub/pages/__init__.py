"""Pages for people with a browser: made on the server, from the same parts as the API's answers."""

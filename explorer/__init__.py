"""A generator in the browser: a local server, the page that it serves, and that page as a file."""

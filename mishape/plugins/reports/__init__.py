"""Built-in answers to the hooks: pictures and the report page."""

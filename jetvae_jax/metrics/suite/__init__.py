"""All metrics of jets under named protocols."""

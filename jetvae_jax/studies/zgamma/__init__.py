"""Six models of Z gamma events compared."""

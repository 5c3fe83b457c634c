"""Messages that could not become rows: what is wrong with each, trying them again, handing them on."""

"""From bytes to columns and back: framing, schemas, registry, the encoder and the two decoders."""

"""Search for signal with models trained on background (Stevenson, Kruger 2022)."""

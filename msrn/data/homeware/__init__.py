"""Real furniture and cars under free licences, and photographs of them."""

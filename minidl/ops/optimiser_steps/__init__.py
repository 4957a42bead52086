"""op.py says what is computed; reference.py and cpu.py say how."""

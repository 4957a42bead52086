"""op.py says what is computed; reference.py, cpu.py and gpu.cu say how."""

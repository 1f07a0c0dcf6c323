"""Measures how near our conversions, and llama.cpp's, come to f32 on real models."""

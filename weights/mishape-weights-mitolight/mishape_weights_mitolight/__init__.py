"""Weights of networks that find mitochondria in stacks and in single images."""

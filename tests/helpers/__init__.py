"""Shared by tests in several folders: neuron kinds, graphs, and simulators that are independent of the product's."""

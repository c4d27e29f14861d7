"""What tests of several folders share: neuron kinds, graphs, and simulators that know nothing of the product's."""

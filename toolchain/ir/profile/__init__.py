"""The NIR profile ``spikec.nir/1``: writing it, reading it, its rules, hashes and listing."""

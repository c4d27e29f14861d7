#!/bin/sh
# From a network of your own to integer NIR, checked, executed, priced and reported. Writes into the current folder.
#   sh own_network.sh                                     with the network that comes with spikec
#   sh own_network.sh net.py:Net net.pt npz:data.npz      with yours: callable, weights, data
set -eu
if [ $# -eq 3 ]; then
  spikec export "$1" --weights "$2" --data "$3" --method error-free -T 4 -o deployed.nir
  data="--data $3"
else
  spikec export digits-cnn -T 4 -o deployed.nir
  data=""
fi
spikec check deployed.nir --target loihi2                  # does a chip hold it? exit code 2 where not
spikec run deployed.nir $data                              # accuracy in exact integers
spikec verify deployed.nir $data --target c --limit 20     # the generated C: the same spikes? exit code 3 where not
spikec energy deployed.nir $data --limit 50                # an estimate, with its interval
spikec report deployed.nir $data -o report.html

"""From a network of your own to integer NIR and a report.

python own_network.py            # writes own_network.nir, own_network.html and own_network.json here
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import spikec as tc

torch.manual_seed(0)
pixels, digits = load_digits(return_X_y=True)
images = torch.tensor((pixels / 16).astype("float32").reshape(-1, 1, 8, 8))
labels = torch.tensor(digits)
train, train_labels, test, test_labels = images[:1300], labels[:1300], images[1300:], labels[1300:]

# Any network of convolutions, linear layers, ReLU, pools and sums; what stands in the way of another is named.
model = nn.Sequential(
    *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
    *(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
    *(nn.Flatten(), nn.Linear(64, 10)),
)
optimizer = torch.optim.Adam(model.parameters(), 3e-3)
for _epoch in range(15):
    for batch in torch.randperm(len(train)).split(50):
        loss = nn.functional.cross_entropy(model(train[batch]), train_labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
model.eval()

# Training images choose the thresholds; the test images are kept for measuring.
network = tc.convert(model, tc.ErrorFree(4), example=train[:1], calibration=train[:256])
graph = tc.lower(network, tc.Int8(per="layer"))
tc.save(graph, "own_network.nir")

with torch.no_grad():
    own = float((model(test).argmax(1) == test_labels).float().mean())
trace = tc.simulate(graph, test)
spiking = trace.accuracy(test_labels.numpy())
print(f"network {100 * own:.2f} %, spiking {100 * spiking:.2f} % of {len(test)} test images")
assert spiking > own - 0.03, "more than three points lost"

tc.report(
    graph,
    images=test,
    labels=test_labels.numpy(),
    ann_accuracy=own,
    estimates=[tc.estimate(graph, trace, profile="loihi2")],
    path="own_network.html",
    json_path="own_network.json",
)
print("written: own_network.nir, own_network.html, own_network.json")

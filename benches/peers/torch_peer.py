"""PyTorch: a plain loop over batches indexed from tensors in memory, eager or compiled."""

import os
import time

import peer


def main():
    given = peer.arguments(
        __doc__,
        mode={"choices": ["eager", "compiled", "compiled-step"], "default": "eager",
              "help": "compiled: model and loss; compiled-step: the optimizer too"},
        threads={"type": int, "default": 0, "help": "0: torch's own choice"},
        hidden={"type": int, "nargs": "+", "help": "other hidden widths than the workload's"},
        batch={"type": int, "help": "another batch size than the workload's"},
    )

    import torch
    from torch import nn

    torch.manual_seed(given.seed)
    if given.threads:
        torch.set_num_threads(given.threads)
    work = peer.WORKLOADS[given.workload]
    batch = given.batch or work["batch"]
    train_x, train_y, test_x, test_y = peer.load(given.data_dir, work["data"])

    def tensors(images, labels):
        return torch.tensor(images, dtype=torch.float32) / 255, torch.tensor(labels, dtype=torch.long)

    x, y = tensors(train_x, train_y)
    widths = [784, *(given.hidden or work["hidden"]), 10]
    layers = []
    for inputs, units in zip(widths, widths[1:]):
        dense = nn.Linear(inputs, units)
        nn.init.xavier_uniform_(dense.weight)
        nn.init.zeros_(dense.bias)
        layers += [dense, nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    # RMSprop adds epsilon outside the root; there is no fused RMSprop for the CPU, foreach groups its tensors.
    if work["optimizer"] == "adam":
        betas = (peer.BETA_1, peer.BETA_2)
        optimizer = torch.optim.Adam(model.parameters(), peer.LEARNING_RATE, betas, peer.EPSILON, fused=True)
    else:
        optimizer = torch.optim.RMSprop(
            model.parameters(), peer.LEARNING_RATE, alpha=peer.RHO, eps=peer.EPSILON, foreach=True
        )
    criterion = nn.CrossEntropyLoss()

    def forward(x, y):
        return criterion(model(x), y)

    if given.mode != "eager":
        forward = torch.compile(forward, dynamic=False)
    update = torch.compile(optimizer.step) if given.mode == "compiled-step" else optimizer.step

    def step(x, y):
        optimizer.zero_grad(set_to_none=True)
        loss = forward(x, y)
        loss.backward()
        update()
        return loss.detach()

    setting = f"{given.mode}, {torch.get_num_threads()} threads"
    report = peer.Report("PyTorch", torch.__version__, setting, given.workload, torch.get_num_threads())
    for _ in range(given.epochs):
        started = time.perf_counter()
        order = torch.randperm(len(x))
        total = torch.zeros(())
        for rows in order.split(batch):
            total += step(x[rows], y[rows]) * len(rows)
        report.epoch(started, total.item() / len(x))

    test_x, test_y = tensors(test_x, test_y)
    with torch.no_grad():
        predicted = model(test_x).argmax(1)
    report.result((predicted == test_y).float().mean().item())


if __name__ == "__main__":
    main()

"""PyTorch's driver of `cargo xtask bench`. Options: --threads N, --compile."""

import argparse
import time

import torch
import torch.nn.functional as F

import protocol
from protocol import check, fill, labels
from torch_models import Cnn, Gpt, Lookup, Mlp, adam, filled, t

options = argparse.ArgumentParser()
options.add_argument("--threads", type=int, default=2)
options.add_argument("--compile", action="store_true")
options = options.parse_args()
torch.set_num_threads(options.threads)


def compiled(f):
    return torch.compile(f, dynamic=False) if options.compile else f


def figures(*tensors):
    return check(*(x.detach().double() for x in tensors))


def value(f, *inputs):
    """A forward pass without gradients."""
    f = compiled(f)

    def run():
        with torch.no_grad():
            return f(*inputs)

    return run, figures(run())


def chain2(x):
    return x * torch.sigmoid(x) + torch.exp(-x * x) * 0.5 - torch.log1p(torch.abs(x))


def gelu(x):
    return 0.5 * x * (1.0 + torch.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def backward(loss, inputs):
    """The loss and its gradients."""
    loss = compiled(loss)
    inputs = [x.requires_grad_() for x in inputs]

    def run():
        y = loss(*inputs)
        return torch.autograd.grad(y, inputs)

    return run, figures(*run())


def stepper(model, optimizer, *batch):
    loss_of = compiled(model)

    def run():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(*batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    return run


def steps(model, optimizer, *batch):
    run = stepper(model, optimizer, *batch)
    return run, [run() for _ in range(3)]


def gpt(row):
    layers, heads, width, block, batch = protocol.GPTS[row]
    model = filled(Gpt(layers, heads, width, block))
    tokens, targets = (t(labels((batch, block), seed, 65)) for seed in (5, 6))
    return model, adam(model, betas=(0.9, 0.99), weight_decay=0.1), tokens, targets


def first_step():
    """The seconds of the first step of a training; nothing compiled earlier is found on the disk."""
    if options.compile:
        import torch._inductor.config as inductor

        inductor.force_disable_caches = True
    parts = gpt("gpt_small")
    start = time.perf_counter()
    loss = stepper(*parts)()
    return time.perf_counter() - start, [loss]


def decode():
    layers, heads, width, vocabulary, block = protocol.DECODE
    model = filled(Gpt(layers, heads, width, block, vocabulary))
    caches = []
    for layer in range(layers):
        grown = [torch.zeros(heads, block, width // heads) for _ in range(2)]
        for buffer, numbers in zip(grown, protocol.cache(layer, heads, width)):
            buffer[:, : protocol.CACHED] = t(numbers)
        caches.append(tuple(grown))
    return value(model.decode, torch.tensor([protocol.TOKEN]), protocol.CACHED, caches)


def mlp_loss(p, x, y):
    x = F.relu(F.linear(x, p["0.weight"], p["0.bias"]))
    x = F.relu(F.linear(x, p["1.weight"], p["1.bias"]))
    return F.cross_entropy(F.linear(x, p["2.weight"], p["2.bias"]), y)


def mlp_parameters():
    return {name: t(protocol.parameter(name, shape)) for name, shape in protocol.MLP.items()}


def tree(f, *inputs):
    f = compiled(f)
    return (lambda: f(*inputs)), figures(*f(*inputs).values())


def scalar_mlp():
    """The scalar network out of scalar tensors, as one would write it to see it fail."""
    layers = protocol.SCALAR_LAYERS
    numbers = 0.5 * protocol.unit(sum((i + 1) * o for i, o in layers), 8)
    points = protocol.unit(2 * protocol.EXAMPLES, 9).reshape(-1, 2)
    targets = [1.0 if a * b > 0 else -1.0 for a, b in points]

    def run():
        parameters = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in numbers]
        loss = 0.0
        for point, target in zip(points.tolist(), targets):
            x, at = point, 0
            for inputs, outputs in layers:
                neurons = []
                for _ in range(outputs):
                    total = sum(parameters[at + j] * x[j] for j in range(inputs)) + parameters[at + inputs]
                    neurons.append(total.tanh() if outputs > 1 else total)
                    at += inputs + 1
                x = neurons
            error = x[0] - target
            loss = loss + error * error
        loss = loss / len(points)
        loss.backward()
        return [loss.item(), parameters[0].grad.item(), parameters[-1].grad.item()]

    return run, run()


def prepare(row):
    torch._dynamo.reset() if options.compile else None
    if row in protocol.MATMULS:
        n, dtype = protocol.MATMULS[row]
        return value(torch.matmul, t(fill((n, n), 1, dtype)), t(fill((n, n), 2, dtype)))
    if row in protocol.GPTS:
        return steps(*gpt(row))
    big, wide = (lambda: t(fill((4096, 4096), 1))), (lambda: t(fill((4096, 1024), 1)))
    match row:
        case "matmul_1024_bf16":
            return value(torch.matmul, *(t(fill((1024, 1024), seed)).bfloat16() for seed in (1, 2)))
        case "matmul_odd":
            return value(torch.matmul, t(fill((1000, 997), 1)), t(fill((997, 1003), 2)))
        case "matmul_nt":
            return value(lambda x, w: x @ w.t(), t(fill((2048, 384), 1)), t(fill((1536, 384), 2)))
        case "matmul_batched":
            return value(torch.matmul, t(fill((96, 128, 64), 1)), t(fill((96, 64, 128), 2)))
        case "vecmat":
            return value(torch.matmul, t(fill((1, 2048), 1)), t(fill((2048, 8192), 2)))
        case "gelu":
            return value(gelu, big())
        case "gelu_grad":
            return backward(lambda x: gelu(x).sum(), [big()])
        case "chain2":
            return value(chain2, big())
        case "chain2_grad":
            return backward(lambda x: chain2(x).sum(), [big()])
        case "softmax":
            return value(lambda x: torch.softmax(x, -1), wide())
        case "layernorm":
            return value(lambda x, w, b: F.layer_norm(x, (1024,), w, b), wide(), t(fill((1024,), 2)), t(fill((1024,), 3)))
        case "layernorm_grad":
            c = t(fill((4096, 1024), 4))
            inputs = [wide(), t(fill((1024,), 2)), t(fill((1024,), 3))]
            return backward(lambda x, w, b: (F.layer_norm(x, (1024,), w, b) * c).sum(), inputs)
        case "batchnorm_grad":
            x, c = (t(fill((64, 64, 32, 32), seed)) for seed in (1, 4))
            norm = lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True)  # noqa: E731
            inputs = [x, t(fill((64,), 2)), t(fill((64,), 3))]
            return backward(lambda x, w, b: (norm(x, w, b) * c).sum(), inputs)
        case "sum_middle":
            return value(lambda x: x.sum(1), t(fill((64, 256, 1024), 1)))
        case "cumsum_0":
            return value(lambda x: x.cumsum(0), wide())
        case "cumsum_1":
            return value(lambda x: x.cumsum(1), wide())
        case "add_t":
            return value(lambda x, y: x + y.t(), big(), t(fill((4096, 4096), 2)))
        case "embedding_grad":
            model = filled(Lookup())
            sgd = torch.optim.SGD(model.parameters(), lr=0.01)
            return steps(model, sgd, t(labels((768,), 5, 50257)), t(fill((768, 768), 4)))
        case "sum_0":
            return value(lambda x: x.sum(0), big())
        case "sum_1":
            return value(lambda x: x.sum(1), big())
        case "mlp":
            model = filled(Mlp())
            return steps(model, adam(model, weight_decay=0.0), t(fill((128, 784), 3)), t(labels((128,), 4, 10)))
        case "mlp_f64":
            model = filled(Mlp()).double()
            x = t(fill((128, 784), 3)).double()
            return steps(model, adam(model, weight_decay=0.0), x, t(labels((128,), 4, 10)))
        case "decode":
            return decode()
        case "gpt_first":
            return first_step()
        case "cnn":
            model = filled(Cnn())
            sgd = torch.optim.SGD(model.parameters(), lr=0.01)
            return steps(model, sgd, t(fill((32, 3, 32, 32), 3)), t(labels((32,), 4, 10)))
        case "per_sample":
            one = lambda p, x, y: mlp_loss(p, x[None], y[None])  # noqa: E731
            f = torch.func.vmap(torch.func.grad(one), in_dims=(None, 0, 0))
            return tree(f, mlp_parameters(), t(fill((32, 784), 3)), t(labels((32,), 4, 10)))
        case "hvp":
            x, y = t(fill((128, 784), 3)), t(labels((128,), 4, 10))
            direction = {name: t(fill(shape, 7)) for name, shape in protocol.MLP.items()}
            gradient = torch.func.grad(lambda p: mlp_loss(p, x, y))
            return tree(lambda p, v: torch.func.jvp(gradient, (p,), (v,))[1], mlp_parameters(), direction)
        case "add1":
            a, b = torch.tensor([1.5]), torch.tensor([2.0])
            f = compiled(torch.add)
            return (lambda: f(a, b)), [f(a, b).item()]
        case "chain" | "chain_compiled" if row == "chain" or options.compile:

            def chain(x):
                y = x
                for _ in range(333):
                    y = torch.tanh(y * 0.99 + x)
                return y.sum()

            return backward(chain, [t(fill((16,), 1))])
        case "scalar_mlp" if not options.compile:
            return scalar_mlp()
    return None


if __name__ == "__main__":
    protocol.serve("PyTorch " + torch.__version__, prepare)

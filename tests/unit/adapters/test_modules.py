import pytest
import torch
from torch import nn

from excise.adapters.hf import open_model
from excise.adapters.modules import ModuleModel
from excise.errors import InputError
from excise.model import MatrixView


def sequential():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 32), nn.ReLU(), nn.LayerNorm(32), nn.Linear(32, 8), nn.ReLU())


def test_each_linear_is_a_block_with_what_follows_it():
    module = sequential()
    model = open_model(module)
    inputs = torch.randn(5, 4, 4)
    hidden = model.embed(inputs)
    assert hidden.shape == (5, 16)
    shapes = []
    for block in model.blocks():
        hidden = block(hidden)
        shapes.append((block.name, [(v.name, v.shape, v.role) for v in block.matrices], hidden.shape[1]))
    assert shapes == [("1", [("1.weight", (32, 16), "other")], 32), ("4", [("4.weight", (8, 32), "other")], 8)]
    assert torch.equal(model.unembed(hidden), module(inputs))
    assert model.block_names() == ["1", "4"]
    assert model.roles()["3.weight"] == "norm"
    assert model.roles()["4.bias"] == "bias"
    assert model.memory_bytes() == sum(p.nbytes for p in module.parameters())


def test_any_other_module_is_one_block():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x):
            return self.second(torch.relu(self.first(x)))

    net = Net()
    model = open_model(net)
    [block] = model.blocks()
    assert [v.name for v in block.matrices] == ["first.weight", "second.weight"]
    x = torch.randn(3, 4)
    assert torch.equal(block(x), net(x))
    assert torch.equal(model.logits(x), net(x))


def test_nothing_to_compress():
    with pytest.raises(InputError, match="looked for Linear and Conv2d weights"):
        open_model(nn.Sequential(nn.ReLU(), nn.LayerNorm(3)))


def test_text_is_none_of_its_business():
    model = ModuleModel(sequential())
    for ask in (
        lambda: model.encode("x"),
        lambda: model.vocabulary,
        lambda: model.separator,
        lambda: model.decode(torch.zeros(1, 1), 1),
        lambda: model.loss(torch.zeros(1, 2)),
    ):
        with pytest.raises(InputError, match="plain module without tokenizer"):
            ask()


@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), (1, 2, 2)])
def test_a_convolution_is_its_matrix_times_its_patches(stride, padding, dilation):
    conv = nn.Conv2d(3, 5, (2, 3), stride=stride, padding=padding, dilation=dilation, bias=False)
    view = MatrixView("conv.weight", "other", conv, "conv2d")
    assert view.shape == (5, 18)
    images = torch.randn(2, 3, 9, 8)
    by_matrix = (view.as_rows(images) @ view.get().t()).t()
    expected = conv(images).transpose(0, 1).flatten(1)
    torch.testing.assert_close(by_matrix, expected)


def test_setting_reaches_the_parameter_whatever_its_layout():
    conv = nn.Conv2d(2, 4, 3).to(memory_format=torch.channels_last)
    view = MatrixView("conv.weight", "other", conv, "conv2d")
    wanted = torch.arange(72.0).reshape(4, 18)
    view.set_(wanted)
    assert torch.equal(conv.weight, wanted.reshape(4, 2, 3, 3))
    assert torch.equal(view.get(), wanted)


def test_a_part_of_a_fused_matrix():
    fused = nn.Linear(4, 12)
    whole = fused.weight.detach().clone()
    keys = MatrixView("qkv.weight", "k", fused, rows=(4, 8))
    assert keys.shape == (4, 4)
    assert torch.equal(keys.get(), whole[4:8])
    keys.set_(torch.zeros(4, 4))
    assert torch.equal(fused.weight[4:8], torch.zeros(4, 4))
    assert torch.equal(fused.weight[:4], whole[:4])
    assert torch.equal(fused.weight[8:], whole[8:])


def test_grouped_convolutions_are_refused():
    with pytest.raises(InputError, match="a convolution in 2 groups"):
        open_model(nn.Sequential(nn.Conv2d(4, 4, 3, groups=2)))

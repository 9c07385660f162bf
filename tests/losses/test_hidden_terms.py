"""Terms on hidden layers against plain loops; what changes nothing."""

import math

import pytest
import torch

from speechbrain_kd.losses import ChannelGates, FrameFeatures, PoolingAttention
from speechbrain_kd.losses.frames import at_fewer_frames, spoken
from speechbrain_kd.losses.hidden import Place

BATCH, FRAMES, WIDTH = 3, 7, 4
PLAIN = {
    "cosine": lambda: FrameFeatures("s", "t", adapter=False),
    "squared": lambda: FrameFeatures("s", "t", "squared_error", adapter=False),
    "attention": lambda: PoolingAttention("s", "t"),
    "gates": lambda: ChannelGates("s", "t", adapter=False),
}


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pair(name, width=WIDTH):
    """Outputs of both sides: frames, or one gate a channel."""
    if name == "gates":
        return random(2, BATCH, 1, width).sigmoid()
    return random(2, BATCH, FRAMES, width)


def value(term, student, teacher, lens=None):
    return term({"s": student}, {"t": teacher}, lens)


def unit(row):
    length = math.sqrt(sum(x * x for x in row))
    return [x / length for x in row]


def cosine_by_a_loop(student, teacher, frames):
    total = 0.0
    for s, t, count in zip(student, teacher, frames, strict=True):
        for at in range(count):
            pairs = zip(unit(s[at]), unit(t[at]), strict=True)
            total += (1 - sum(x * y for x, y in pairs)) / count
    return total / len(student)


def squared_by_a_loop(student, teacher, frames):
    total = 0.0
    for s, t, count in zip(student, teacher, frames, strict=True):
        maps = [unit([x for row in one[:count] for x in row]) for one in (s, t)]
        total += sum((x - y) ** 2 for x, y in zip(*maps, strict=True))
    return total / len(student)


def attention_by_a_loop(student, teacher, frames):
    total = 0.0
    for s, t, count in zip(student, teacher, frames, strict=True):
        ours, theirs = ([0.0] * count for _ in "st")
        for channels, found in ((s, ours), (t, theirs)):
            for channel in range(WIDTH):
                powers = [
                    math.exp(channels[at][channel]) for at in range(count)
                ]
                for at in range(count):
                    found[at] += powers[at] / sum(powers) / WIDTH
        for p, q in zip(theirs, ours, strict=True):
            total += p * math.log(p / q)
    return total / len(student)


@pytest.mark.parametrize("lens", [None, (1.0, 0.7, 0.43)])
@pytest.mark.parametrize(
    ("name", "loop"),
    [
        ("cosine", cosine_by_a_loop),
        ("squared", squared_by_a_loop),
        ("attention", attention_by_a_loop),
    ],
)
def test_by_a_loop(name, loop, lens):
    student, teacher = pair(name)
    frames = [
        round((1 if lens is None else lens[n]) * FRAMES) for n in range(3)
    ]
    expected = loop(student.tolist(), teacher.tolist(), frames)
    lens = None if lens is None else torch.tensor(lens)
    found = value(PLAIN[name](), student, teacher, lens)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_gates_by_a_loop():
    student, teacher = pair("gates")
    pairs = zip(
        student.flatten().tolist(), teacher.flatten().tolist(), strict=True
    )
    expected = sum((x - y) ** 2 for x, y in pairs) / (BATCH * WIDTH)
    found = value(PLAIN["gates"](), student, teacher)
    assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", PLAIN)
def test_least_at_equality_and_gradient_to_the_student_alone(name):
    student, teacher = (one.clone().requires_grad_() for one in pair(name))
    term = PLAIN[name]()
    assert value(term, student, student).item() == pytest.approx(0, abs=1e-6)
    before = value(term, student, teacher)
    assert before > 0.01
    before.backward()
    assert student.grad.abs().sum() > 0 and teacher.grad is None
    step = student.detach() - 1e-2 * student.grad
    assert value(term, step, teacher) < before


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("cosine", lambda x: x * torch.arange(1, FRAMES + 1)[:, None]),
        ("squared", lambda x: x * torch.arange(1, BATCH + 1)[:, None, None]),
        ("attention", lambda x: x + torch.arange(WIDTH)),
        ("attention", lambda x: x.flip(2)),
    ],
)
def test_what_changes_nothing(name, change):
    student, teacher = pair(name)
    term = PLAIN[name]()
    expected = value(term, student, teacher)
    torch.testing.assert_close(value(term, change(student), teacher), expected)
    torch.testing.assert_close(value(term, student, change(teacher)), expected)


@pytest.mark.parametrize("name", ["cosine", "squared", "attention"])
def test_padding_changes_nothing(name):
    student, teacher = pair(name)
    lens = torch.tensor([1.0, 0.7, 0.43])
    padded = ~spoken(student, lens)[..., None]
    assert padded.sum().item() == 2 + 4
    term = PLAIN[name]()
    other = [one.masked_fill(padded, 9.0) for one in (student, teacher)]
    torch.testing.assert_close(
        value(term, *other, lens), value(term, student, teacher, lens)
    )


@pytest.mark.parametrize("name", ["cosine", "squared", "attention"])
@pytest.mark.parametrize("finer", [0, 1])
def test_a_finer_stride_on_one_side(name, finer):
    """Frames that are given twice are the same frames."""
    given = list(pair(name))
    term = PLAIN[name]()
    expected = value(term, *given)
    given[finer] = given[finer].repeat_interleave(2, dim=1)
    torch.testing.assert_close(value(term, *given), expected)


def test_a_few_frames_more_are_interpolated():
    ramp = torch.arange(100.0).reshape(1, 100, 1)
    longer, other = at_fewer_frames(ramp, torch.zeros(1, 98, 1))
    assert longer.shape == other.shape
    steps = longer[0, :, 0].diff()
    torch.testing.assert_close(steps, torch.full((97,), 100 / 98))


@pytest.mark.parametrize("name", PLAIN)
def test_bf16_inputs_and_autocast_give_fp32(name):
    student, teacher = pair(name).bfloat16()
    exact = value(PLAIN[name](), student.float(), teacher.float())
    with torch.autocast("cpu", torch.bfloat16):
        held = student.requires_grad_()
        found = value(PLAIN[name](), held, teacher)
    found.backward()
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(exact.item(), rel=1e-5)
    assert held.grad.isfinite().all()


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("level", [0.0, 1e4])
def test_finite_at_extremes(name, level):
    student, teacher = level * pair(name)
    student.requires_grad_()
    loss = value(PLAIN[name](), student, teacher)
    loss.backward()
    assert loss.isfinite() and student.grad.isfinite().all()


@pytest.mark.parametrize(
    ("make", "time"), [(FrameFeatures, 1), (ChannelGates, None)]
)
def test_an_adapter_is_learnt(make, time):
    """From 4 channels to 6, so that a fixed map is found."""
    torch.manual_seed(0)
    term = make("s", "t")
    term.fit_to({"s": Place("s", 4, time)}, {"t": Place("t", 6, time)})
    frames = 1 if time is None else FRAMES
    student = random(64, frames, 4, seed=1)
    teacher = student @ random(4, 6, seed=2)
    optimizer = torch.optim.Adam(term.parameters(), lr=0.03)
    first = value(term, student, teacher).item()
    for _ in range(150):
        optimizer.zero_grad()
        loss = value(term, student, teacher)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05 * first


def test_several_pairs_are_averaged():
    both = FrameFeatures(["a", "b"], ["c", "d"], adapter=False)
    student = dict(zip("ab", random(2, BATCH, FRAMES, WIDTH), strict=True))
    teacher = dict(zip("cd", random(2, 3, 5, WIDTH, seed=1), strict=True))
    parts = [
        FrameFeatures(one, other, adapter=False)(student, teacher)
        for one, other in ("ac", "bd")
    ]
    torch.testing.assert_close(both(student, teacher), sum(parts) / 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FrameFeatures(["a", "b"], "c"), "student: .'a', 'b'., teach"),
        (lambda: PoolingAttention("", "c"), "one for one"),
        (lambda: FrameFeatures("a", "b", "mse"), "cosine, squared_error; got"),
    ],
)
def test_what_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("term", "time", "message"),
    [
        (PLAIN["cosine"](), 1, "s has 4 and the teacher's t 6: set adapter"),
        (PLAIN["gates"](), None, "ChannelGates with adapter: False"),
        (PLAIN["gates"](), 2, "the student's s gives frames"),
        (PLAIN["attention"](), None, "the student's s gives 4 numbers an"),
    ],
)
def test_outputs_that_cannot_be_compared(term, time, message):
    with pytest.raises(ValueError, match=message):
        term.fit_to({"s": Place("s", 4, time)}, {"t": Place("t", 6, time)})


@pytest.mark.parametrize("shape", [(2, FRAMES, WIDTH), (BATCH, WIDTH)])
def test_wrong_shapes_are_named(shape):
    frames = random(BATCH, FRAMES, WIDTH)
    with pytest.raises(ValueError, match=r"\[3, 7, 4\] of the student's s and"):
        value(PLAIN["cosine"](), frames, torch.zeros(shape))

"""The work of filling a store, in blocks that processes claim."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from tqdm import tqdm

from speechbrain_kd.teachers.store import TeacherStore

Item = tuple[int, int, int]  # block, position of an utterance, view


class Plan:
    """The blocks of a build: which are ours, and what they lack.

    Arguments
    ---------
    store : TeacherStore
        The store that is filled.
    utterances : Sequence[str]
        Ids.
    num_views : int
        Views of each.
    block : int
        Utterances of a block.
    store_views : Callable[[int], Sequence[int]] | None
        The views of the store that a view fills; by default itself.
    bar : tqdm
        Told of what is there already.
    """

    def __init__(
        self,
        store: TeacherStore,
        utterances: Sequence[str],
        num_views: int,
        block: int,
        store_views: Callable[[int], Sequence[int]] | None,
        bar: tqdm,
    ) -> None:
        self.store, self.utterances, self.block = store, utterances, block
        self.store_views = store_views or (lambda view: (view,))
        self.bar = bar
        self.per_view = -(-len(utterances) // block)
        self.count = self.per_view * num_views
        self.kept = 0
        self.claims = ExitStack()
        self._held: dict[int, ExitStack] = {}
        self._others: list[int] = []

    def batches(self, size: int) -> Iterator[list[Item]]:
        """Claims block after block, a little before its work is due."""
        for number in range(self.count):
            claim = self.claims.enter_context(ExitStack())
            if not claim.enter_context(self.store.claim(number)):
                self._others.append(number)
                continue
            items = self._lacking(number)
            if items:
                self._held[number] = claim
            else:
                claim.close()
            yield from pieces(items, size)

    def release_before(self, number: int) -> None:
        """Gives back the claims to blocks before one: they are done."""
        for done in [one for one in self._held if one < number]:
            self._held.pop(done).close()

    def leftovers(self, size: int) -> Iterator[list[Item]]:
        """Waits for the blocks that others had, and does what they left."""
        for number in self._others:
            with self.store.claim(number, wait=True):
                yield from pieces(self._lacking(number), size)

    def _lacking(self, number: int) -> list[Item]:
        """Lists what a block lacks, and counts what it has."""
        view, place = divmod(number, self.per_view)
        start = place * self.block
        names = self.utterances[start : start + self.block]
        parts = [self.store.holds(names, one) for one in self.store_views(view)]
        held = [all(row) for row in zip(*parts, strict=True)]
        self.kept += sum(held)
        self.bar.update(sum(held))
        return [
            (number, start + at, view)
            for at, there in enumerate(held)
            if not there
        ]


def pieces(items: list, size: int) -> Iterator[list]:
    """Cuts a list into pieces of at most a size.

    Arguments
    ---------
    items : list
        Anything.
    size : int
        Of each piece but the last.

    Yields
    ------
    list
        The pieces in order.

    Example
    -------
    >>> list(pieces([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    for start in range(0, len(items), size):
        yield items[start : start + size]

"""Steps over texts that are served to nobody: to warm a network up, and to measure it while it reads."""

from collections.abc import Iterable
from collections.abc import Sequence as Ids

from core.inference.batching.prefix import BLOCK_SIZE, PrefixCache
from core.inference.batching.scheduler import Chunk, Step
from core.inference.batching.sequence import Job, Sampling, Sequence


def prompts_step(prompts: Iterable[Ids[int]]) -> Step:
    """The step that reads `prompts` from their beginning, each as a sequence, in the first blocks of the KV cache."""
    rows = [
        Sequence(job=Job(id=str(number), user="", prompt=tuple(ids), max_tokens=1, sampling=Sampling(), seed=0))
        for number, ids in enumerate(prompts)
    ]
    cache = PrefixCache(sum(-(-row.pending // BLOCK_SIZE) for row in rows), reuse=False)
    for row in rows:
        row.block_table = cache.allocate(row.ids, row.pending, row.owner, shared=0)
    return Step(chunks=tuple(Chunk(sequence=row, count=row.pending) for row in rows))


def reply_step(prompt: Ids[int], reply: Ids[int]) -> Step:
    """The step that reads a prompt and its reply, with logits after the prompt and after each token of the reply."""
    [chunk] = prompts_step([[*prompt, *reply]]).chunks
    chunk.sequence.ids = list(prompt)
    return Step(chunks=(Chunk(sequence=chunk.sequence, count=len(prompt), draft=tuple(reply)),))

"""Trains the embedded model from scratch: `python -m training.train`. Same machine and seed give the same files."""

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from core.models import write_manifest
from training.corpus import chat_samples, mood_samples, read_all_seeds, seed_texts, tokenizer_texts
from training.packing import IGNORED, Batch, Encoder, batches
from training.seal import MINI
from training.tokenizer import control_ids, save_tokenizer, train_tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Hyperparameters. The figures of the model card hold for these defaults; rows and lengths are per step."""

    seed: int = 20
    steps: int = 1300
    warmup: int = 40
    matrix_rate: float = 5e-3
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    mood_rows: int = 3
    mood_length: int = 1536
    chat_rows: int = 6
    chat_length: int = 512
    mood_weight: float = 2.0
    """Weight of the mood loss beside the chat loss: half of a mood sample's targets only end the one-word answer."""
    hidden: int = 256
    feed_forward: int = 704
    layers: int = 5
    heads: int = 4
    kv_heads: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some rows of a batch, small enough that two threads have equally much to do. `scale` is that of their loss."""

    batch: Batch
    scale: float


def train(recipe: Recipe, folder: Path) -> None:
    """Trains the tokenizer and the model and writes their files to `folder`."""
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(1)
    seeds = read_all_seeds()
    tokenizer = train_tokenizer(tokenizer_texts(seeds))
    encoder = Encoder(tokenizer)
    model = new_model(recipe, tokenizer)
    moods = batches(mood_samples(seeds, Random(recipe.seed)), encoder, rows=recipe.mood_rows, length=recipe.mood_length)
    chats = batches(
        chat_samples(seeds, Random(recipe.seed + 1)), encoder, rows=recipe.chat_rows, length=recipe.chat_length
    )
    print(f"{model.num_parameters():,} parameters, {sum(1 for _ in seed_texts(seeds)):,} seed lines")
    _run_steps(model, recipe, zip(moods, chats, strict=True))
    save(model, tokenizer, folder)


def new_model(recipe: Recipe, tokenizer: Tokenizer) -> Qwen2ForCausalLM:
    """A randomly initialised model for this tokenizer, with the decoding defaults it ships with."""
    end_of_text, _, end = control_ids(tokenizer)
    config = Qwen2Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=recipe.hidden,
        intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.kv_heads,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=end_of_text,
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=[end, end_of_text], pad_token_id=end_of_text, max_new_tokens=128
    )
    return model


def save(model: Qwen2ForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Writes the model in bfloat16, its tokenizer and the checksums."""
    folder.mkdir(parents=True, exist_ok=True)
    model.bfloat16().save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    save_tokenizer(tokenizer, folder)
    write_manifest(folder)


def _run_steps(model: Qwen2ForCausalLM, recipe: Recipe, batches_of: Iterator[tuple[Batch, Batch]]) -> None:
    optimizers = _optimizers(model, recipe)
    schedules = [LambdaLR(optimizer, partial(_rate_factor, recipe)) for optimizer in optimizers]
    weights = list(model.parameters())
    model.train()
    wall, cpu = time.perf_counter(), time.process_time()
    # One thread for each part keeps the order of summation, so that training is reproducible on two cores.
    with ThreadPoolExecutor(2, initializer=partial(torch.set_num_threads, 1)) as pool:
        for step, (moods, chats) in enumerate(islice(batches_of, recipe.steps), 1):
            parts = [*_parts(moods, 1, recipe.mood_weight), *_parts(chats, (recipe.chat_rows + 1) // 2, 1.0)]
            losses, gradients = zip(*pool.map(partial(_gradients, model), parts), strict=True)
            for weight, *own in zip(weights, *gradients, strict=True):
                weight.grad = torch.stack(own).sum(dim=0)
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            for optimizer in optimizers:
                optimizer.step()
            for schedule in schedules:
                schedule.step()
            if step % 50 == 0 or step == recipe.steps:
                spent = f"{time.perf_counter() - wall:.0f} s, {time.process_time() - cpu:.0f} s of CPU"
                mood = sum(losses[: recipe.mood_rows]) / recipe.mood_weight
                chat = sum(losses[recipe.mood_rows :])
                print(f"{step}: mood {mood:.3f}, chat {chat:.3f}, {spent}", flush=True)


def _optimizers(model: Qwen2ForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon (kellerjordan.github.io/posts/muon) for all matrices but the embeddings, AdamW for the rest."""
    embedding = model.get_input_embeddings().weight
    matrices = [weight for weight in model.parameters() if weight.dim() > 1 and weight is not embedding]
    vectors = [weight for weight in model.parameters() if weight.dim() == 1]
    rate, decay = recipe.learning_rate, recipe.weight_decay
    groups = [{"params": [embedding], "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    return [
        torch.optim.Muon(matrices, lr=recipe.matrix_rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True),
    ]


def _parts(batch: Batch, rows: int, weight: float) -> list[Part]:
    """Parts of some rows each; their losses add up to the batch's mean loss times the weight."""
    scale = weight / int((batch.targets != IGNORED).sum())
    return [Part(batch=own, scale=scale) for own in batch.split(rows)]


def _gradients(model: Qwen2ForCausalLM, part: Part) -> tuple[float, tuple[torch.Tensor, ...]]:
    """Loss of a part and its gradients. Logits are computed only at positions that have a target."""
    batch = part.batch
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.model(
            input_ids=batch.ids, position_ids=batch.positions, attention_mask=batch.mask, use_cache=False
        ).last_hidden_state
        has_target = batch.targets != IGNORED
        logits = model.lm_head(hidden[has_target])
    loss = part.scale * cross_entropy(logits.float(), batch.targets[has_target], reduction="sum")
    return loss.item(), torch.autograd.grad(loss, list(model.parameters()))


def _rate_factor(recipe: Recipe, step: int) -> float:
    """Factor of the learning rate: linear warm-up, constant, then linear decay to 0 over the second half."""
    return min(1.0, (step + 1) / recipe.warmup, max(0.0, 2 * (recipe.steps - step) / recipe.steps))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=Recipe().steps, help="optimizer steps")
    parser.add_argument("--folder", type=Path, default=MINI, help="where the files are written")
    arguments = parser.parse_args()
    train(Recipe(steps=arguments.steps), arguments.folder)

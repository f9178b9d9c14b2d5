"""Training of the hybrid model, on a tiny decoder."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from decoder.config import DecoderConfig
from decoder.fusion import Fusion
from decoder.precontext import Precontext
from decoder.sequence import SoftSegment, TextSegment
from encoders.adapters.base import Adapter, AdapterConfig
from encoders.adapters.checkpoint import load_adapter
from encoders.adapters.geometry import geometry_of
from encoders.adapters.words import embedded, laid, texts_of
from encoders.base import FeatureSpan, Perception
from encoders.checkpoints.conversions.low_rank import merged
from encoders.checkpoints.eight_bit import packed, unpacked
from encoders.results import Chunk, DocumentResult, Line, Page, Role, Speech, quad
from pipelines.train.hybrid.batches import batch_of, rows_of
from pipelines.train.hybrid.export import difference, export
from pipelines.train.hybrid.items import Saying
from pipelines.train.hybrid.letters import spelled
from pipelines.train.hybrid.model import Hybrid
from pipelines.train.hybrid.perceived import Perceived, load, stored
from pipelines.train.hybrid.prompts import Heard, Prompter
from pipelines.train.hybrid.recipe import Recipe, Stage, read_recipe
from pipelines.train.hybrid.samples import Sample, Task
from tests.decoder.tiny import save_tiny

TASKS = (
    Task("field", "What is the total?", None, "12.50"),
    Task("field", "Who wrote it?", None, "not in the document"),
    Task("field", "Which day?", None, "2024-03-01"),
)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"), "llama")


def recipe_of(decoder: Path, rank: int = 4) -> Recipe:
    shape: dict[str, Any] = {"d_model": 64, "embedding_scale": 0.3}
    shape |= {"slots": 2, "words": str(decoder)}
    ocr = AdapterConfig(
        task="ocr", d_encoder=12, strides=(2, 2), widths=(16, 24, 24), rates=(2, 4), steps_per_token=4, **shape
    )
    speech = AdapterConfig(
        task="speech_to_text", d_encoder=10, strides=(5,), widths=(16, 24), rates=(5,), steps_per_token=5, **shape
    )
    adapters = {"ocr": ocr, "speech_to_text": speech}
    return Recipe(decoder=str(decoder), rank=rank, prompt_tokens=300, adapters=adapters, stages=())


def saying(recipe: Recipe) -> Saying:
    return Saying(Prompter(recipe.decoder, 300, recipe.speech_rates).tokens, recipe.slots)


def hybrid(recipe: Recipe) -> Hybrid:
    torch.manual_seed(1)
    model = Hybrid(recipe.decoder, recipe.rank, {task: Adapter(c) for task, c in recipe.adapters.items()}).float()
    for layer in model.layers.values():
        torch.nn.init.normal_(layer.b, std=0.1)
    return model.eval()


def page() -> Perception:
    """Three lines of a paragraph and a footer line, with features of 5, 9, 4 and 6 steps."""
    rng = np.random.default_rng(5)
    texts, steps = ("The total amount", "of the invoice is 12.50", "Sea Ltd", "tea"), (5, 9, 4, 6)
    lines = tuple(
        Line(text, quad(100, 100 + 40 * i, 500 + 30 * i, 130 + 40 * i), 0.9, role=Role.BODY, paragraph=i // 2)
        for i, text in enumerate(texts)
    )
    stops = np.cumsum(steps)
    spans = tuple(FeatureSpan(i, int(stop - size), int(stop)) for i, (stop, size) in enumerate(zip(stops, steps)))
    features = rng.normal(size=(int(stops[-1]), 12)).astype(np.float16)
    return Perception(DocumentResult((Page(1, 1000, 1400, "ocr", lines=lines),)), features, spans)


def recording() -> Heard:
    chunks = (
        Chunk("Speaker one said that", 0.2, 0.9, 1.0, "SPEAKER_00"),
        Chunk("the ship left at noon.", 31.1, 32.0, 1.0, "SPEAKER_01"),
    )
    speech = Speech(" ".join(c.text for c in chunks), "en", 1.0, 32.0, chunks)
    return Heard((np.zeros(480_000, np.int16), np.zeros(32_000, np.int16)), (0.0, 30.5), speech)


@pytest.mark.parametrize("mode", ["text", "soft", "both"])
def test_a_packed_branch_is_learnt_as_if_it_stood_alone(decoder: Path, mode: str) -> None:
    recipe = recipe_of(decoder)
    model, prompter = hybrid(recipe), Prompter(recipe.decoder, 300, recipe.speech_rates)
    examples = [prompter.example([page()], TASKS, mode, 2), prompter.example([page(), page()], TASKS[:1], mode, 2)]
    rows, over = rows_of(examples, 480)
    assert not over
    batch = batch_of(rows, 480, 2, recipe.speech_rates, {"field": 0.5}, saying(recipe))
    with torch.no_grad():
        together = model.losses(batch, model.given(batch, None))
        alone = []
        for example in (example for row in rows for example in row):
            for branch in example.branches:
                example_of_one = type(example)(example.inputs, example.prefix, example.soft, [branch])
                single = batch_of([[example_of_one]], len(example_of_one), 2, recipe.speech_rates, {}, saying(recipe))
                alone.append(model.losses(single, model.given(single, None)))
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-4)
    assert set(batch.weight.tolist()) == {0.5}
    assert len(batch.answers) == sum(len(branch.answer) for example in examples for branch in example.branches)


@pytest.mark.parametrize("mode", ["text", "soft", "both"])
def test_training_reads_what_production_asks(decoder: Path, mode: str, tmp_path: Path) -> None:
    """A packed example has the embeddings of the prompt that `Fusion` makes with the exported adapter's tokens."""
    recipe = recipe_of(decoder)
    model, prompter = hybrid(recipe), Prompter(recipe.decoder, 300, recipe.speech_rates)
    export(recipe, dict(model.named_parameters()), tmp_path)
    adapter = load_adapter(str(tmp_path / "ocr"))
    model.adapters["ocr"].load_state_dict(adapter.state_dict())
    one = page()
    batch = batch_of([[prompter.example([one], TASKS[:1], mode, 2)]], 400, 2, recipe.speech_rates, {}, saying(recipe))
    with torch.no_grad():
        trained = model.embedded(batch, model.given(batch, None))[0]
    fusion = Fusion(DecoderConfig(checkpoint=str(decoder), mode=mode, prompt_tokens=300))  # type: ignore[arg-type]
    soft = adapter.adapt(one.features, one.spans, geometry_of(one), rate=2, texts=texts_of(one))
    assert one.result is not None
    prompt = fusion.prompt(TASKS[0].question, None, [Precontext("ocr", one.result, "p", soft)])
    embed = model.decoder.model.embed_tokens
    wanted = torch.cat(
        [
            embed(torch.as_tensor(s.tokens, dtype=torch.long))
            if isinstance(s, TextSegment)
            else torch.tensor(s.vectors, dtype=torch.float32)
            for s in prompt.segments
        ]
    )
    assert any(isinstance(segment, SoftSegment) for segment in prompt.segments) == (mode != "text")
    torch.testing.assert_close(trained[: len(wanted)], wanted, rtol=2e-3, atol=2e-3)


def test_what_a_schema_writes_weighs_less_than_what_the_decoder_decides(decoder: Path) -> None:
    recipe = recipe_of(decoder)
    prompter = Prompter(recipe.decoder, 300, recipe.speech_rates)
    answer = {
        "a": 'He said "b": 1, "c"',
        "d e": None,
        "f": "",
        "g": 12.5,
        "rows": [{"h": "1"}, {"h": "é"}],
        "i": {"j": "2"},
    }
    shape = {"type": "object", "properties": {name: {} for name in answer}, "required": list(answer)}
    task = Task("json", None, json.dumps(shape), json.dumps(answer, ensure_ascii=False))
    example = prompter.example([page()], [task], "text")
    weights = {"json": 1.0, "json name": 0.0, "json there": 2.0, "json null": 3.0}
    batch = batch_of([[example]], 480, 2, recipe.speech_rates, weights)
    (branch,) = example.branches
    said = list(zip(branch.answer, batch.weight.tolist(), strict=True))

    def written(weight: float) -> str:
        return prompter._fusions["text"].tokenizer._tokenizer.decode([token for token, own in said if own == weight])

    assert "".join(written(0.0).split()) == '{"a":"de":,"f":"g":,"rows":h":h":"i":j":'
    assert [own for _, own in said if own > 1] == [2.0, 3.0, 3.0, 2.0, 2.0, 2.0, 2.0]
    assert set(batch.kinds) == set(weights) and said[-1][1] == 1.0


def test_a_page_and_a_recording_in_one_prompt(decoder: Path) -> None:
    recipe = recipe_of(decoder)
    model, prompter = hybrid(recipe), Prompter(recipe.decoder, 300, recipe.speech_rates)
    example = prompter.example([page(), recording()], TASKS[:2], "both", 4)
    assert {number for number, _, _ in example.soft} == {0, 1}
    batch = batch_of([[example]], 480, 4, recipe.speech_rates, {}, saying(recipe))
    assert batch.audio is not None and len(batch.audio) == 2
    chunks = batch.items["speech_to_text"][0]
    assert chunks.rows[: chunks.count].tolist() == [[0, 10], [1, 30]]  # window, first frame
    assert chunks.lengths.tolist() == [35, 45] + [0] * (len(chunks.lengths) - 2)
    speech = torch.randn(2, 1500, 10)
    losses = model.losses(batch, model.given(batch, speech))
    spelling = model.spelled(batch, speech)
    (losses.mean() + spelling).backward()
    for task in ("ocr", "speech_to_text"):
        gradients = [p.grad for p in model.adapters[task].parameters()]
        assert all(g is None or torch.isfinite(g).all() for g in gradients)
        assert sum(float(g.abs().sum()) for g in gradients if g is not None) > 0
    assert spelled("Ship 7, at noon!") == spelled("ship 7 at noon")


def test_of_a_transcript_alone_words_become_soft_tokens(decoder: Path) -> None:
    recipe = recipe_of(decoder)
    model, prompter = hybrid(recipe), Prompter(recipe.decoder, 300, recipe.speech_rates)
    unheard = replace(recording(), windows=(), starts=())
    alone, heard = (prompter.example([one], TASKS[:1], "soft", 4) for one in (unheard, recording()))
    batch = batch_of([[alone, heard, heard]], 900, 4, recipe.speech_rates, {}, saying(recipe))
    chunks = batch.items["speech_to_text"][0]
    assert batch.audio is not None and len(batch.audio) == 2, "a window that is heard twice travels once"
    assert chunks.rows[: chunks.count].tolist() == [[0, 10], [1, 30]] * 2 + [[0, -1]] * 2
    assert chunks.letters is not None and len(chunks.letters) == 4, "what is not heard is not spelled"
    made = model.given(batch, torch.randn(2, 1500, 10))["speech_to_text"][0]
    told = batch_of([[alone]], 480, 4, recipe.speech_rates, {}, saying(recipe))
    assert told.audio is None
    wanted = model.given(told, None)["speech_to_text"][0][told.soft_from["speech_to_text"]]
    found = made[batch.soft_from["speech_to_text"]]
    torch.testing.assert_close(found[: len(wanted)], wanted)
    torch.testing.assert_close(found[len(wanted) : 2 * len(wanted)], found[2 * len(wanted) :])


def test_what_is_exported_answers_as_what_was_trained(decoder: Path, tmp_path: Path) -> None:
    recipe = recipe_of(decoder)
    model = hybrid(recipe)
    state = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    export(recipe, state, tmp_path)
    stored = load_file(tmp_path / "difference.safetensors")
    base = load_file(decoder / "model.safetensors")
    whole = merged(base, unpacked(stored))
    added = difference(state)
    for name, weight in whole.items():
        if f"{name}.a" in added:
            exact = base[name].double() + added[f"{name}.b"].double() @ added[f"{name}.a"].double()
            error = (weight.double() - exact).abs().max() / (exact - base[name].double()).abs().max()
            assert 0 < error < 0.02, name  # eight bits, two factors
        else:
            assert torch.equal(weight, base[name])
    assert sum(f"{name}.a" in added for name in whole) == 14  # seven matrices in each of two layers
    with pytest.raises(ValueError, match="does not fit"):
        merged({"model.embed_tokens.weight": torch.zeros(3, 3)}, unpacked(stored))


def test_a_text_is_spread_over_its_soft_tokens() -> None:
    assert laid([5, 6], 3, 2).tolist() == [[5, -1], [6, -1], [-1, -1]]
    assert laid([1, 2, 3, 4, 5], 3, 2).tolist() == [[1, 2], [3, 4], [5, -1]]
    assert laid([1, 2, 3, 4, 5], 2, 2).tolist() == [[1, 2], [4, 5]]  # no place for the third
    assert laid([], 2, 1).tolist() == [[-1], [-1]] and laid([1], 0, 1).shape == (0, 1)
    table = torch.arange(8.0).reshape(4, 2)
    assert embedded(torch.tensor([[3, -1]]), table).tolist() == [[6.0, 7.0, 0.0, 0.0]]


def test_a_difference_is_taken_in_once(decoder: Path) -> None:
    (layer, *_) = hybrid(recipe_of(decoder)).layers.values()
    rows = torch.randn(3, layer.weight.shape[1])
    before = layer(rows)
    layer.settle()
    torch.testing.assert_close(layer(rows), before, rtol=1e-4, atol=1e-4)
    layer.settle()
    torch.testing.assert_close(layer(rows), before, rtol=1e-4, atol=1e-4)


def test_words_can_be_left_out_in_training(decoder: Path) -> None:
    recipe = recipe_of(decoder)
    prompter = Prompter(recipe.decoder, 300, recipe.speech_rates)
    examples = [[prompter.example([page()], TASKS[:1], "soft", 2)]]
    told = [
        batch_of(examples, 400, 2, recipe.speech_rates, {}, Saying(prompter.tokens, recipe.slots, share, drawn))
        for share, drawn in ((0.0, np.random.default_rng(0)), (0.5, np.random.default_rng(0)))
    ]
    whole, some = (torch.cat([group.words.flatten() for group in one.items["ocr"]]) for one in told)  # type: ignore[union-attr]
    assert ((some == whole) | (some == -1)).all()
    assert 0 < int((some >= 0).sum()) < int((whole >= 0).sum())


def test_an_untrained_soft_token_is_the_first_word_under_it(decoder: Path) -> None:
    recipe = recipe_of(decoder)
    model, prompter = hybrid(recipe), Prompter(recipe.decoder, 300, recipe.speech_rates)
    one = page()
    batch = batch_of([[prompter.example([one], TASKS[:1], "soft", 4)]], 400, 4, recipe.speech_rates, {}, saying(recipe))
    (made,), (group,) = model.given(batch, None)["ocr"], batch.items["ocr"]
    assert group.words is not None and isinstance(one.result, DocumentResult)
    first = group.words.flatten(0, 1)[:, 0]
    alone = (first >= 0) & (group.words.flatten(0, 1)[:, 1] < 0)
    assert alone.any()
    wanted = model.decoder.get_input_embeddings().weight[first[alone].long()]
    likeness = torch.nn.functional.cosine_similarity(made[alone], wanted)
    torch.testing.assert_close(likeness, torch.ones_like(likeness), rtol=1e-4, atol=1e-4)
    codes = [model.adapters[task].words.weight for task in ("ocr", "speech_to_text")]
    assert torch.equal(*codes), "all adapters begin with one code"


def test_perceived_samples_come_back_and_other_pickles_do_not(tmp_path: Path) -> None:
    document = page()
    sample = Sample(7, "letter", "en", "plain", tasks=TASKS)
    (tmp_path / "0.samples").write_bytes(pickle.dumps([Perceived(sample, (document,))], protocol=5))
    (back,) = load(next(stored(tmp_path)))
    assert back.sample == sample and back.documents[0].result == document.result
    np.testing.assert_array_equal(back.documents[0].features, document.features)
    (tmp_path / "bad.samples").write_bytes(pickle.dumps([print]))
    with pytest.raises(pickle.UnpicklingError, match="not part of a sample"):
        load(tmp_path / "bad.samples")


def test_eight_bits_are_near_and_come_back_the_same() -> None:
    weights = {"kernel": torch.randn(8, 4, 3), "bias": torch.randn(8), "zero": torch.zeros(3, 3)}
    once = unpacked(packed(weights))
    assert set(once) == set(weights)
    assert (once["kernel"] - weights["kernel"]).abs().max() < weights["kernel"].abs().max() / 100
    assert torch.equal(once["zero"], weights["zero"])
    again = unpacked(packed(once))
    torch.testing.assert_close(again["kernel"], once["kernel"], rtol=1e-6, atol=1e-6)


def test_a_step_of_training_lowers_the_loss_of_its_batch(decoder: Path) -> None:
    recipe = recipe_of(decoder)
    model, prompter = hybrid(recipe).train(), Prompter(recipe.decoder, 300, recipe.speech_rates)
    batch = batch_of([[prompter.example([page()], TASKS, "soft", 4)]], 400, 4, recipe.speech_rates, {}, saying(recipe))
    learns = [p for p in model.parameters() if p.requires_grad]
    assert not any(p.requires_grad for n, p in model.named_parameters() if n.endswith(".weight") and ".layers." in n)
    optimiser = torch.optim.AdamW(learns, lr=3e-3)
    seen = []
    for _ in range(12):
        loss = model.losses(batch, model.given(batch, None)).mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        seen.append(float(loss.detach()))
    assert seen[-1] < 0.7 * seen[0]


@pytest.mark.parametrize("family", ["gpt_neox", "qwen3"])
def test_another_decoder_is_trained_by_the_same_recipe(family: str, decoder: Path, tmp_path: Path) -> None:
    """Of other names, layers with biases and a head of its own; what is exported answers as what was trained."""
    other = save_tiny(tmp_path / family, family)
    recipe = recipe_of(decoder).for_decoder(str(other))
    config = recipe.adapters["ocr"]
    assert recipe.decoder == config.words == str(other) and config.d_model == 64
    assert config.embedding_scale != recipe_of(decoder).adapters["ocr"].embedding_scale
    model, prompter = hybrid(recipe), Prompter(recipe.decoder, 300, recipe.speech_rates)
    batch = batch_of([[prompter.example([page()], TASKS, "both", 4)]], 600, 4, recipe.speech_rates, {}, saying(recipe))
    model.losses(batch, model.given(batch, None)).mean().backward()
    learns = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for n, p in learns.items() if n.endswith(".a"))
    state = {name: p.detach() for name, p in learns.items()}
    base = {name: weight.bfloat16().float() for name, weight in load_file(other / "model.safetensors").items()}
    tuned = merged(base, difference(state))
    save_file(tuned, other / "model.safetensors", {"format": "pt"})
    whole = AutoModelForCausalLM.from_pretrained(other, dtype=torch.float32)
    tokens = torch.tensor([prompter.tokens("The total amount of the invoice")])
    torch.testing.assert_close(model.decoder(tokens).logits, whole(tokens).logits, rtol=1e-3, atol=1e-3)


def test_a_training_goes_on_although_one_adapter_has_changed(decoder: Path) -> None:
    recipe = recipe_of(decoder)
    first, state = hybrid(recipe), {n: p.detach() for n, p in hybrid(recipe).named_parameters() if p.requires_grad}
    assert first.resume(state) == []
    wider = recipe.adapters["speech_to_text"].model_copy(update={"widths": (16, 32)})
    torch.manual_seed(2)
    adapters = {task: Adapter(c) for task, c in (recipe.adapters | {"speech_to_text": wider}).items()}
    second = Hybrid(recipe.decoder, recipe.rank, adapters).float()
    assert second.resume(state) == ["adapters.speech_to_text"]
    torch.testing.assert_close(second.adapters["ocr"].enter.weight, first.adapters["ocr"].enter.weight)
    with pytest.raises(ValueError, match=r"adapters\.orc; there are adapters\.ocr, adapters\.speech_to_text, decoder"):
        second.resume(state, ("adapters.orc",))
    third = Hybrid(recipe.decoder, recipe.rank, adapters).float()
    weight = third.adapters["ocr"].enter.weight.detach().clone()
    assert third.resume(state, ("adapters.ocr",)) == ["adapters.ocr", "adapters.speech_to_text"]
    assert torch.equal(third.adapters["ocr"].enter.weight, weight)


def test_a_decoder_that_knows_no_chats_is_refused(decoder: Path, tmp_path: Path) -> None:
    save_tiny(tmp_path, "llama")
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match="no chat template"):
        recipe_of(decoder).for_decoder(str(tmp_path))


def test_the_recipe_that_ships_is_sound() -> None:
    recipe = read_recipe(Path("pipelines/train/hybrid/recipe.toml"))
    assert set(recipe.adapters) == {"ocr", "speech_to_text", "gui_detection"}
    assert all(slots > 0 for slots in recipe.slots.values())
    assert recipe.adapters["speech_to_text"].steps_per_token >= 25  # at most two tokens a second
    assert json.loads(Stage(name="x", seconds=1).model_dump_json())["rates"] == [8, 16]

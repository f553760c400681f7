"""Vectors by a local model: a tiny random BERT, and tables of token vectors."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from excise.adapters import encoder as module
from excise.adapters.encoder import batches, encoder
from excise.errors import InputError

WORDS = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "the": 3, "cat": 4, "sat": 5, "mat": 6, "北": 7, "京": 8}


def words():
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    tokenizer = words()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 1), ("[SEP]", 2)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]").save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=12,
    )  # fmt: skip
    network = BertModel(config).eval()
    network.save_pretrained(folder)
    return folder, network


def alone(network, tokens):
    with torch.inference_mode():
        return network(torch.tensor([tokens])).last_hidden_state[0].numpy()


def test_a_text_is_the_mean_of_its_states_whatever_it_is_batched_with(bert):
    folder, network = bert
    found = encoder(folder)(["the cat", "the cat sat the cat sat the mat", "mat"])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], alone(network, [1, 3, 4, 2]).mean(0), atol=1e-5)
    np.testing.assert_allclose(found[1], alone(network, [1, 3, 4, 5, 3, 4, 5, 3, 6, 2]).mean(0), atol=1e-5)
    np.testing.assert_allclose(found[2], alone(network, [1, 6, 2]).mean(0), atol=1e-5)


def test_blank_texts_are_zeros_and_long_ones_are_cut_to_what_the_model_knows(bert):
    folder, network = bert
    found = encoder(folder)([" \n", "", "the " * 50])
    assert not found[:2].any()
    np.testing.assert_allclose(found[2], alone(network, [1, *[3] * 10, 2]).mean(0), atol=1e-5)
    assert encoder(folder)([]).shape == (0, 16)


def test_the_first_token_where_the_model_was_trained_so(bert, tmp_path):
    folder, network = bert
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    found = encoder(tmp_path)(["the cat", "mat"])
    np.testing.assert_allclose(found[0], alone(network, [1, 3, 4, 2])[0], atol=1e-5)


def test_batches_are_filled_by_length(monkeypatch):
    monkeypatch.setattr(module, "_BATCH_TOKENS", 10)
    assert list(batches([2, 5, 20, 3, 5])) == [[2], [1, 4], [3, 0]]
    assert list(batches([])) == []


def table(folder, **tensors):
    words().save(str(folder / "tokenizer.json"))
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_a_table_gives_the_mean_of_known_tokens(tmp_path):
    matrix = np.arange(len(WORDS) * 3, dtype=np.float32).reshape(-1, 3)
    found = encoder(table(tmp_path, embeddings=matrix))(["cat never mat", "never", "", "北 京"])
    np.testing.assert_array_equal(found[0], (matrix[4] + matrix[6]) / 2)
    assert not found[1:3].any()
    np.testing.assert_array_equal(found[3], (matrix[7] + matrix[8]) / 2)


def test_a_table_with_weights_and_shared_rows(tmp_path):
    matrix = np.eye(2, dtype=np.float16)
    mapping = np.array([0, 0, 0, 0, 1, 1, 1, 0, 0], np.int32)
    weights = np.arange(9, dtype=np.float64)
    found = encoder(table(tmp_path, embeddings=matrix, mapping=mapping, weights=weights))(["the cat"])
    np.testing.assert_array_equal(found[0], [1.5, 2])


def test_a_table_smaller_than_its_tokenizer_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"9 tokens, its table 4 vectors"):
        encoder(table(tmp_path, embeddings=np.eye(4, dtype=np.float32)))


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="no folder with a model"):
        encoder(tmp_path / "none")
    with pytest.raises(InputError, match="no encoder could be loaded"):
        encoder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(InputError, match="no encoder could be loaded"):
        encoder(tmp_path)

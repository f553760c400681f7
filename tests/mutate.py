"""Does each formula's test notice when the formula is wrong? `make mutate`.

Every mutant is the package with one token of one formula changed. The test named beside it must pass on the package as
it is and fail on the mutant; a mutant that survives is a formula without a test.

To add one: an entry in MUTANTS. `was` must occur once in the file, and differ from `becomes` in exactly one token.
`stable=True` in patterns.py is not among them: torch's sort on the CPU is stable without being asked.
"""

import io
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import tokenize
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

import pytest
import torch  # noqa: F401 - so that it is imported once, before the forks, not in each of them

REPO = Path(__file__).resolve().parents[1]
WORKERS = 2
LIMIT_SECONDS = 300
OUTPUT = "output.txt"

IMPORTANCE = "tests/golden/test_importance_by_hand.py"
GRIDS = "tests/golden/test_grids_by_hand.py"
GRID_LAWS = "tests/property/weights/test_grid_laws.py"
PATTERN_LAWS = "tests/property/weights/test_pattern_laws.py"
SOLVE = "tests/unit/weights/test_solve.py"
CALIBRATE = "tests/unit/weights/test_calibrate.py"
OBS = "tests/unit/weights/test_obs.py"
MINHASH = "tests/unit/data/test_minhash.py"
NEAR = "tests/unit/data/test_near.py"
LINES = "tests/unit/data/test_lines.py"
SUBSTRINGS = "tests/unit/data/test_substrings.py"
LOOP = "tests/unit/training/test_loop.py"
EMBED = "tests/unit/data/test_embed.py"
OUTLIERS = "tests/unit/data/test_outliers.py"
ODDNESS = "tests/golden/test_oddness_by_hand.py"
RULES = "tests/golden/test_rules_by_hand.py"
NGRAMS = "tests/unit/data/test_ngram_model.py"
UNLIKE = "tests/unit/data/test_unlike.py"
PII = "tests/unit/data/test_pii.py"
LANGUAGE = "tests/unit/data/test_language.py"
CONFIDENT = "tests/unit/data/test_confident.py"
CLASSIFY = "tests/unit/data/test_classify.py"
VALUES = "tests/unit/data/test_values.py"


@dataclass(frozen=True)
class Mutant:
    """One token of one formula, and the test that must notice."""

    formula: str
    file: str  # below src/excise
    was: str
    becomes: str
    test: str  # a pytest node


MUTANTS = [
    Mutant(
        "magnitude |w|",
        "weights/importance.py",
        "compute_dtype(weight)).abs()",
        "compute_dtype(weight)).neg()",
        f"{IMPORTANCE}::test_magnitude",
    ),
    Mutant(
        "taylor |w * g|",
        "weights/importance.py",
        "(weight * gradient).abs()",
        "(weight + gradient).abs()",
        f"{IMPORTANCE}::test_taylor",
    ),
    Mutant(
        "taylor |w * g|: absolute",
        "weights/importance.py",
        "gradient).abs()",
        "gradient).neg()",
        f"{IMPORTANCE}::test_taylor",
    ),
    Mutant(
        "signed |w| * g",
        "weights/importance.py",
        "weight.abs() * gradient if",
        "weight.abs() / gradient if",
        f"{IMPORTANCE}::test_taylor_with_the_articles_sign",
    ),
    Mutant(
        "signed |w| * g: choice",
        "weights/importance.py",
        "if signed else",
        "if not signed else",
        f"{IMPORTANCE}::test_taylor_with_the_articles_sign",
    ),
    Mutant(
        "gradient: mean over tokens",
        "weights/calibrate.py",
        "summed / count for",
        "summed * count for",
        f"{IMPORTANCE}::test_gradients_are_those_on_paper",
    ),
    Mutant(
        "affine step (xmax - xmin) / (2^b - 1)",
        "weights/grids.py",
        "(2**bits - 1), lowest",
        "(2**bits - 0), lowest",
        f"{GRIDS}::test_affine_is_the_articles_formula",
    ),
    Mutant(
        "affine step: range",
        "weights/grids.py",
        "(highest - lowest) / (2**",
        "(highest + lowest) / (2**",
        f"{GRIDS}::test_affine_is_the_articles_formula",
    ),
    Mutant(
        "affine q = round((x - xmin) / step)",
        "weights/grids.py",
        "(groups - grid.zero.to(groups.dtype).unsqueeze(-1)) / scale",
        "(groups + grid.zero.to(groups.dtype).unsqueeze(-1)) / scale",
        f"{GRIDS}::test_affine_is_the_articles_formula",
    ),
    Mutant(
        "affine q: ties to even",
        "weights/grids.py",
        "steps.round().clamp",
        "steps.floor().clamp",
        f"{GRIDS}::test_affine_levels_of_every_width",
    ),
    Mutant(
        "affine x' = q * step + xmin",
        "weights/grids.py",
        "groups * scale + grid.zero",
        "groups * scale - grid.zero",
        f"{GRIDS}::test_affine_is_the_articles_formula",
    ),
    Mutant(
        "affine xmin = xmax: code 0",
        "weights/grids.py",
        "steps.where(scale != 0, 0)",
        "steps.where(scale != 0, 1)",
        f"{GRIDS}::test_affine_is_the_articles_formula",
    ),
    Mutant(
        "symmetric |scale|: longer side",
        "weights/grids.py",
        "(half + 0.5), torch",
        "(half - 0.5), torch",
        f"{GRIDS}::test_symmetric",
    ),
    Mutant(
        "symmetric |scale|: shorter side",
        "weights/grids.py",
        "(half - 0.5))",
        "(half + 0.5))",
        f"{GRIDS}::test_symmetric",
    ),
    Mutant(
        "symmetric sign of scale",
        "weights/grids.py",
        "size.where(below >= above",
        "size.where(below <= above",
        f"{GRIDS}::test_symmetric",
    ),
    Mutant(
        "symmetric q: lowest code",
        "weights/grids.py",
        "(-(2 ** (bits - 1)),",
        "(+(2 ** (bits - 1)),",
        f"{GRIDS}::test_symmetric",
    ),
    Mutant(
        "symmetric w' = (q + shift) * scale",
        "weights/grids.py",
        "(groups + _shift(grid)) * scale",
        "(groups - _shift(grid)) * scale",
        f"{GRIDS}::test_one_symmetric_bit_is_plus_or_minus_the_mean_magnitude",
    ),
    Mutant(
        "one bit: mean |w| of the kept",
        "weights/grids.py",
        "else kept.sum(-1)",
        "else kept.any(-1)",
        f"{GRIDS}::test_only_the_kept_weights_decide",
    ),
    Mutant(
        "scale rounded up in its dtype",
        "weights/grids.py",
        "view(bits) + 1)",
        "view(bits) - 1)",
        f"{GRIDS}::test_affine_in_bfloat16_rounds_the_step_up",
    ),
    Mutant(
        "error <= step / 2 in bf16",
        "weights/grids.py",
        ".abs() < value.abs()",
        ".abs() > value.abs()",
        f"{GRID_LAWS}::test_no_weight_moves_by_more_than_half_a_step",
    ),
    Mutant(
        "exact counts: round",
        "weights/patterns.py",
        "return round(sparsity",
        "return int(sparsity",
        f"{PATTERN_LAWS}::test_counts_round_half_to_even",
    ),
    Mutant(
        "exact counts: the best stay",
        "weights/patterns.py",
        "descending=True",
        "descending=False",
        f"{PATTERN_LAWS}::test_rows",
    ),
    Mutant(
        "global: one count over all",
        "weights/patterns.py",
        "everything.numel() - removed",
        "everything.numel() + removed",
        f"{PATTERN_LAWS}::test_global",
    ),
    Mutant(
        "N:M along the input",
        "weights/patterns.py",
        "importance.reshape(-1, of)",
        "importance.reshape(-1, kept)",
        f"{PATTERN_LAWS}::test_n_of_m",
    ),
    Mutant(
        "sparsity in [0, 1]",
        "weights/patterns.py",
        "if not 0 <= sparsity <= 1:",
        "if not 0 <= sparsity <= 2:",
        f"{PATTERN_LAWS}::test_sparsity_out_of_range_is_refused",
    ),
    Mutant(
        "output error tr(D H D') / tr(W H W')",
        "weights/solve.py",
        "(rows @ gram) * rows",
        "(rows @ gram) + rows",
        f"{SOLVE}::test_output_error_by_hand",
    ),
    Mutant(
        "output error: D = W' - W",
        "weights/solve.py",
        "after.to(wide) - before",
        "after.to(wide) + before",
        f"{SOLVE}::test_output_error_by_hand",
    ),
    Mutant(
        "weight error ||D||^2 / ||W||^2",
        "weights/solve.py",
        "return error / whole",
        "return error * whole",
        f"{SOLVE}::test_output_error_by_hand",
    ),
    Mutant(
        "gram X'X / n",
        "weights/calibrate.py",
        "self._sum / self.count",
        "self._sum * self.count",
        f"{CALIBRATE}::test_gram_is_the_mean_outer_product",
    ),
    Mutant(
        "gram: n counts vectors",
        "weights/calibrate.py",
        "self.count += len",
        "self.count -= len",
        f"{CALIBRATE}::test_gram_is_the_mean_outer_product",
    ),
    Mutant(
        "obs importance w^2 / [H^-1]_jj",
        "weights/obs.py",
        "(part / corner.diagonal())",
        "(part * corner.diagonal())",
        f"{OBS}::test_a_small_weight_on_a_large_input_stays",
    ),
    Mutant(
        "obs e = (w - w') / U_jj",
        "weights/obs.py",
        "(part[:, j] - after) / corner",
        "(part[:, j] - after) * corner",
        f"{OBS}::test_two_weights_on_paper",
    ),
    Mutant(
        "obs W -= e U",
        "weights/obs.py",
        "part[:, j:] -= errors",
        "part[:, j:] += errors",
        f"{OBS}::test_two_weights_on_paper",
    ),
    Mutant(
        "obs across blocks",
        "weights/obs.py",
        "work[:, here.stop :] -= errors",
        "work[:, here.stop :] += errors",
        f"{OBS}::test_it_loses_less_than_rounding",
    ),
    Mutant(
        "obs U'U = H^-1",
        "weights/obs.py",
        "upper=True",
        "upper=False",
        f"{OBS}::test_the_root_is_that_of_the_damped_inverse",
    ),
    Mutant(
        "symbols are tokens",
        "data/unicode.py",
        'kinds[_categories() == ord("S")] = ALONE',
        'kinds[_categories() == ord("P")] = ALONE',
        f"{NEAR}::test_symbols_are_not_overlooked",
    ),
    Mutant(
        "operators are tokens",
        "data/unicode.py",
        r'_OPERATORS = "#%&*-/@\\\u066a\u0609\u2030\u060a\u2031"',
        r'_OPERATORS = "#%&*/@\\\u066a\u0609\u2030\u060a\u2031"',
        f"{NEAR}::test_symbols_are_not_overlooked",
    ),
    Mutant(
        "Jaccard |A & B| / |A | B|",
        "data/set_kernels.py",
        "both / (size - both)",
        "both / (size + both)",
        f"{NEAR}::test_a_changed_word_is_found_with_its_true_similarity",
    ),
    Mutant(
        "TF-IDF: 1 + ln count",
        "data/gram_kernels.py",
        "(1.0 + np.log(counts[k]))",
        "(1.0 - np.log(counts[k]))",
        f"{EMBED}::test_weights_are_tf_idf_by_hand",
    ),
    Mutant(
        "vectors: what the directions leave",
        "data/embed.py",
        "rest - main @ self.crossed",
        "rest + main @ self.crossed",
        f"{EMBED}::test_the_random_half_holds_only_what_the_directions_leave",
    ),
    Mutant(
        "semantic: the nearest that stays",
        "data/semantic.py",
        "np.where(going, -2, inside[i])",
        "np.where(going, 2, inside[i])",
        "tests/property/data/test_vector_laws.py::test_semantic_pairs_are_those_of_the_twin",
    ),
    Mutant(
        "ECOD: the skewed side",
        "data/oddness.py",
        "** 3).sum() < 0",
        "** 3).sum() > 0",
        f"{ODDNESS}::test_ecod_sums_sides_and_takes_the_largest",
    ),
    Mutant(
        "oddness: spread of a normal distribution",
        "data/oddness.py",
        "(high - low) / _NORMAL",
        "(high - low) * _NORMAL",
        f"{ODDNESS}::test_scale_of_a_normal_and_of_nearly_constant_columns",
    ),
    Mutant(
        "contamination: templates are what many items hold",
        "data/contamination.py",
        "np.repeat(counts <= limit",
        "np.repeat(counts >= limit",
        "tests/unit/data/test_contamination.py::test_what_many_items_share_is_their_template_and_no_leak",
    ),
    Mutant(
        "outliers: usual deviations",
        "data/outliers.py",
        "settings.threshold * usual(odd)",
        "settings.threshold / usual(odd)",
        f"{OUTLIERS}::test_the_share_is_exact_and_the_threshold_counts_robust_deviations",
    ),
    Mutant(
        "MinHash: least value of a bin",
        "data/kernels.py",
        "if value < signature[place]",
        "if value != signature[place]",
        f"{MINHASH}::test_signatures_equal_the_oracle",
    ),
    Mutant(
        "MinHash: densification draws a donor",
        "data/kernels.py",
        "signature[place] = signature[donor]",
        "signature[place] = signature[place]",
        f"{MINHASH}::test_signatures_equal_the_oracle",
    ),
    Mutant(
        "MinHash: rows of a band",
        "data/kernels.py",
        "signatures[text, band * rows + row]",
        "signatures[text, band * rows - row]",
        f"{MINHASH}::test_equal_bands_have_equal_keys_and_others_not",
    ),
    Mutant(
        "MinHash: 1 - (1 - J^rows)^bands",
        "data/minhash.py",
        "(1 - similarity**rows) ** bands",
        "(1 + similarity**rows) ** bands",
        f"{MINHASH}::test_the_default_shape_follows_from_the_threshold",
    ),
    Mutant(
        "MinHash: a pair five deviations below is not read",
        "data/buckets.py",
        "(threshold - 5 * math.sqrt",
        "(threshold + 5 * math.sqrt",
        f"{NEAR}::test_a_pair_five_deviations_below_is_left_out",
    ),
    Mutant(
        "tokens: eight bytes more",
        "data/kernels.py",
        "(h ^ eight) * _BASE",
        "(h | eight) * _BASE",
        "tests/property/data/test_deduplication_laws.py::test_shingle_sets_equal_the_oracle",
    ),
    Mutant(
        "boilerplate: so many records hold it",
        "data/lines.py",
        "often = starts[counts >= least]",
        "often = starts[counts > least]",
        f"{LINES}::test_a_notice_goes_from_all_but_the_first",
    ),
    Mutant(
        "winnowing: bytes of a fingerprint",
        "data/substrings.py",
        "settings.shortest // 3)",
        "settings.shortest // 4)",
        f"{SUBSTRINGS}::test_the_defaults_are_one_measure",
    ),
    Mutant(
        "substrings: of a period the first stays",
        "data/substring_kernels.py",
        "a - before + longest",
        "a - before - longest",
        "tests/property/data/test_substring_laws.py::test_of_a_period_as_much_stays_as_a_repeat_is_long",
    ),
    Mutant(
        "learning rate: cosine",
        "training/loop.py",
        "(1 + math.cos",
        "(1 - math.cos",
        f"{LOOP}::test_the_rate_rises_to_the_peak_and_ends_near_a_tenth",
    ),
    Mutant(
        "batches: a pass an epoch",
        "training/loop.py",
        "places // count",
        "places // batch",
        f"{LOOP}::test_every_epoch_sees_each_window_once_and_in_its_own_order",
    ),
    Mutant(
        "quality: letters a word",
        "data/rules.py",
        "POINTS_A_WORD, POINT_CHARACTERS = 1.5, 4",
        "POINTS_A_WORD, POINT_CHARACTERS = 2.5, 4",
        f"{RULES}::test_words_of_chinese",
    ),
    Mutant(
        "quality: one kind of symbol at a time",
        "data/rules.py",
        "np.maximum.reduce([",
        "np.add.reduce([",
        f"{RULES}::test_symbols_are_of_one_kind_at_a_time",
    ),
    Mutant(
        "quality: a published threshold",
        "data/rules.py",
        "((2, 0.20), (3, 0.18), (4, 0.16))",
        "((2, 0.20), (3, 0.28), (4, 0.16))",
        f"{RULES}::test_published_thresholds",
    ),
    Mutant(
        "quality: runs of a width",
        "data/rule_kernels.py",
        "if i >= width:",
        "if i > width:",
        f"{RULES}::test_runs_that_were_there_before",
    ),
    Mutant(
        "quality: an ellipsis is three stops",
        "data/rule_kernels.py",
        "c[_ELLIPSES] += dots == 3",
        "c[_ELLIPSES] += dots == 2",
        "tests/property/data/test_rule_laws.py::test_counters_equal_the_twins",
    ),
    Mutant(
        "quality: beyond an upper limit",
        "data/noisy.py",
        "1 - np.divide(",
        "1 + np.divide(",
        "tests/property/data/test_rule_laws.py::test_beyond_is_zero_on_the_right_side_and_grows",
    ),
    Mutant(
        "language: softmax cooled by the text's length",
        "data/language_kernels.py",
        "1.0 / np.sqrt(",
        "1.0 / np.cbrt(",
        f"{LANGUAGE}::test_it_is_the_model_of_py3langid",
    ),
    Mutant(
        "pii: Luhn doubles every second digit",
        "data/pii.py",
        "divmod(2 * int(d), 10)",
        "divmod(3 * int(d), 10)",
        f"{PII}::test_the_known_checks",
    ),
    Mutant(
        "pii: mod 11-2",
        "data/pii.py",
        "pow(2, 17 - i, 11)",
        "pow(3, 17 - i, 11)",
        f"{PII}::test_the_known_checks",
    ),
    Mutant(
        "pii: IBAN 1 modulo 97",
        "data/pii.py",
        "% 97 == 1",
        "% 97 == 2",
        f"{PII}::test_the_known_checks",
    ),
    Mutant(
        "n-grams: (count + s p) / (context + s)",
        "data/ngram_kernels.py",
        "p = (count + strength * p) / (below + strength)",
        "p = (count + strength * p) / (below - strength)",
        f"{NGRAMS}::test_two_bytes_on_paper",
    ),
    Mutant(
        "n-grams: bits",
        "data/ngram_kernels.py",
        "sum_of_bits -= np.log2(product)",
        "sum_of_bits += np.log2(product)",
        f"{NGRAMS}::test_a_text_less_likely_than_any_float",
    ),
    Mutant(
        "perplexity: the models of others",
        "data/perplexity.py",
        "dealt(piece, folds) != fold",
        "dealt(piece, folds) == fold",
        "tests/unit/data/test_perplexity.py::test_a_record_is_not_scored_by_a_model_that_saw_it",
    ),
    Mutant(
        "unlike: target minus corpus",
        "data/unlike.py",
        "bits[fold == index] -= model",
        "bits[fold == index] += model",
        f"{UNLIKE}::test_the_difference_is_target_minus_corpus_a_byte",
    ),
    Mutant(
        "unlike: log ratio of the features",
        "data/unlike.py",
        "(counts + 1.0) / (counts",
        "(counts + 2.0) / (counts",
        f"{UNLIKE}::test_importance_by_hand",
    ),
    Mutant(
        "unlike: what is held out is not learnt",
        "data/unlike.py",
        "return ~held_out(piece) & (",
        "return ~held_out(piece) | (",
        f"{UNLIKE}::test_no_model_sees_what_is_held_out",
    ),
    Mutant(
        "unlike: exact count kept",
        "data/unlike.py",
        "round(settings.keep * judged)",
        "int(settings.keep * judged)",
        f"{UNLIKE}::test_a_share_is_kept",
    ),
    Mutant(
        "threshold: mean probability of the class's own records",
        "data/confident.py",
        "sums / np.maximum(counts, 1)",
        "sums * np.maximum(counts, 1)",
        f"{CONFIDENT}::test_thresholds_by_hand",
    ),
    Mutant(
        "confident joint: rows sum to the label counts",
        "data/confident.py",
        "table / table.sum(1, keepdims=True)",
        "table / table.sum(0, keepdims=True)",
        f"{CONFIDENT}::test_the_joint_is_calibrated_to_the_labels",
    ),
    Mutant(
        "noise matrix P(given | true)",
        "data/confident.py",
        "truly = table.sum(0, dtype",
        "truly = table.sum(1, dtype",
        f"{CONFIDENT}::test_the_noise_matrix_is_by_true_class",
    ),
    Mutant(
        "wrong: P(i | j) q(j)",
        "data/confident.py",
        "true *= noise[given]",
        "true /= noise[given]",
        f"{CONFIDENT}::test_the_probability_of_being_wrong_undoes_the_noise",
    ),
    Mutant(
        "wrong: undoing the noise",
        "data/confident.py",
        "np.maximum(true @ noise.T, _LEAST)) @ noise",
        "np.maximum(true * noise.T, _LEAST)) @ noise",
        f"{CONFIDENT}::test_the_probability_of_being_wrong_undoes_the_noise",
    ),
    Mutant(
        "normalised margin",
        "data/confident.py",
        "(1 + own - rival) / 2",
        "(1 + own + rival) / 2",
        f"{CONFIDENT}::test_ranking_by_hand",
    ),
    Mutant(
        "logistic regression: penalty",
        "data/logistic.py",
        "gradient[:-1] += penalty * coefficients[:-1]",
        "gradient[:-1] -= penalty * coefficients[:-1]",
        f"{CLASSIFY}::test_the_fit_is_that_of_scikit_learn",
    ),
    Mutant(
        "strength C: penalty 1 / (C m)",
        "data/logistic.py",
        "1 / (strength * len(rows))",
        "1 * (strength * len(rows))",
        f"{CLASSIFY}::test_the_fit_is_that_of_scikit_learn",
    ),
    Mutant(
        "temperature divides",
        "data/classify.py",
        "values[np.ix_(some, deal.present)] / temperature",
        "values[np.ix_(some, deal.present)] * temperature",
        f"{CLASSIFY}::test_no_other_temperature_suits_the_held_out_labels_better",
    ),
    Mutant(
        "groups joined through what they share",
        "data/folds.py",
        "np.minimum.at(least, kind, head)",
        "np.maximum.at(least, kind, head)",
        f"{CLASSIFY}::test_groups_are_joined_through_what_they_share",
    ),
    Mutant(
        "rows of length 1",
        "data/scale.py",
        "np.divide(1 / np.sqrt(used), spread",
        "np.divide(1 * np.sqrt(used), spread",
        f"{CLASSIFY}::test_scaled_features_have_mean_zero_and_length_one",
    ),
    Mutant(
        "z in usual deviations",
        "data/values.py",
        "(residual - np.median(known)) / scale",
        "(residual - np.median(known)) * scale",
        f"{VALUES}::test_deviations_by_hand",
    ),
    Mutant(
        "1 - 1/z^2",
        "data/values.py",
        "1 - 1 / np.maximum(np.abs(z), 1)",
        "1 + 1 / np.maximum(np.abs(z), 1)",
        f"{VALUES}::test_deviations_by_hand",
    ),
    Mutant(
        "1.4826 MAD",
        "data/deviation.py",
        "_OF_MEDIAN * np.median(off)",
        "_OF_MEDIAN / np.median(off)",
        "tests/unit/data/test_deviation.py::test_of_normal_values_it_is_the_standard_deviation",
    ),
]


def tokens(code: str) -> list[str]:
    """The tokens of a piece of code, which need not be a whole statement."""
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.string.strip():
                found.append(token.string)
    except tokenize.TokenError:  # an open bracket at the end
        pass
    return found


def changed_tokens(was: str, becomes: str) -> int:
    """How many tokens differ."""
    matcher = SequenceMatcher(None, tokens(was), tokens(becomes), autojunk=False)
    return sum(max(i2 - i1, j2 - j1) for kind, i1, i2, j1, j2 in matcher.get_opcodes() if kind != "equal")


def run(package: Path, tests: list[str]) -> None:
    """Run tests against the package in this folder, in this process, which ends with pytest's exit status."""
    sys.path.insert(0, str(package))
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(package / "hypothesis")
    os.chdir(REPO)
    with (package / OUTPUT).open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    status = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--no-header", *tests]))
    if Path(sys.modules["excise"].__file__).parents[1] != package:
        print(f"the tests ran on {sys.modules['excise'].__file__}, not on {package}")
        status = int(pytest.ExitCode.INTERNAL_ERROR)
    sys.stdout.flush()
    os._exit(status)


def status_of(package: Path, tests: list[str]) -> int | None:
    """Pytest's exit status from a process of its own; negative where it crashed, None where it did not end.

    A fork, in which the packages that take long to import are there already, and excise is not.
    """
    process = multiprocessing.get_context("fork").Process(target=run, args=(package, tests))
    process.start()
    process.join(LIMIT_SECONDS)
    status = process.exitcode
    process.kill()
    process.join()
    return status


def copy_of(folder: Path) -> Path:
    """A copy of the package that is imported instead of the installed one."""
    shutil.copytree(REPO / "src" / "excise", folder / "excise", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def judge(mutant: Mutant, folder: Path) -> str:
    """'killed', or what is wrong."""
    file = copy_of(folder) / "excise" / mutant.file
    code = file.read_text(encoding="utf-8")
    if code.count(mutant.was) != 1:
        return f"NOT MADE: {mutant.was!r} occurs {code.count(mutant.was)} times in {mutant.file}"
    if changed_tokens(mutant.was, mutant.becomes) != 1:
        return "NOT MADE: more or fewer than one token changes"
    file.write_text(code.replace(mutant.was, mutant.becomes), encoding="utf-8")
    match status_of(folder, [mutant.test]):
        case 0:
            return "SURVIVED"
        case pytest.ExitCode.TESTS_FAILED:
            return "killed"
        case None:
            return "killed: did not end"
        case status if status < 0:
            return "killed: crashed"
        case _:
            return f"DID NOT RUN: {(folder / OUTPUT).read_text()[-1000:]}"


def main(words: list[str]) -> int:
    """Judge the mutants whose formula or file holds one of the words (all without words)."""
    chosen = [m for m in MUTANTS if not words or any(w in m.formula or w in m.file for w in words)]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mutants-") as place, ThreadPoolExecutor(WORKERS) as pool:
        folders = [Path(place) / f"{number:03d}" for number in range(len(chosen))]
        original = copy_of(Path(place) / "original")
        sound = pool.submit(status_of, original, sorted({mutant.test for mutant in chosen}))
        verdicts = list(pool.map(judge, chosen, folders))
        if sound.result() != 0:
            print(f"The tests fail on the package as it is:\n{(original / OUTPUT).read_text()}")
            return 1
    width = max((len(m.formula) for m in chosen), default=0)
    for mutant, verdict in zip(chosen, verdicts, strict=True):
        print(f"{mutant.formula:<{width}}  {mutant.test.rpartition('::')[2]:<72}  {verdict}")
    killed = sum(verdict.startswith("killed") for verdict in verdicts)
    print(f"{killed} of {len(chosen)} mutants killed in {time.perf_counter() - began:.0f} s")
    return 0 if killed == len(chosen) and chosen else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

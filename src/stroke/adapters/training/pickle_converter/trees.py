"""Ensembles of trees as graphs that compare in 64 bits, as the libraries do.

skl2onnx and onnxmltools round thresholds and leaves to 32 bits; a patient at a threshold then takes
the other branch. Here each tree gives the number of a leaf, which is exact, and the leaves' values
are looked up and summed in 64 bits.
"""

import json

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from .refusals import refused_step


class Forest:
    """Trees as flat lists: per node its tree, feature, threshold and branches, or its leaf.

    A leaf's number counts within its tree, so that 32 bits hold it exactly.
    """

    def __init__(self, below):
        self.below = below  # the comparison that leads left: BRANCH_LEQ or BRANCH_LT
        self.rows = []
        self.leaves = []
        self.starts = []
        self.trees = 0

    def add(self, *by_node):
        """Add a tree given as arrays by node; a negative ``left`` marks a leaf.

        They are: left, right, feature, threshold, whether a missing value goes left, and value.
        """
        left, right, feature, threshold, missing_left, value = by_node
        start = len(self.leaves)
        self.starts.append(start)
        for node in range(len(left)):
            if left[node] < 0:
                leaf = len(self.leaves) - start
                self.rows.append((self.trees, node, 0, 0.0, 0, 0, 0, leaf))
                self.leaves.append(float(value[node]))
            else:
                self.rows.append(
                    (
                        self.trees,
                        node,
                        int(feature[node]),
                        float(threshold[node]),
                        int(left[node]),
                        int(right[node]),
                        int(missing_left[node]),
                        -1,
                    )
                )
        self.trees += 1

    def write(self, writer, value):
        """Return the sum of the leaves that ``value``, doubles ``[N, k]``, falls into."""
        return writer.total(self.values(writer, value))

    def values(self, writer, value):
        """Return the values ``[N, trees]`` of the leaves that ``value`` falls into."""
        tree, node, feature, threshold, left, right, missing, leaf = zip(*self.rows)
        at_leaf = [row for row in self.rows if row[-1] >= 0]
        output = writer.name("leaf")
        writer.nodes.append(
            helper.make_node(
                "TreeEnsembleRegressor",
                [value],
                [output],
                domain="ai.onnx.ml",
                n_targets=self.trees,
                nodes_treeids=tree,
                nodes_nodeids=node,
                nodes_featureids=feature,
                nodes_modes=["LEAF" if each >= 0 else self.below for each in leaf],
                nodes_truenodeids=left,
                nodes_falsenodeids=right,
                nodes_missing_value_tracks_true=missing,
                nodes_values_as_tensor=numpy_helper.from_array(np.array(threshold, np.float64)),
                target_treeids=[row[0] for row in at_leaf],
                target_nodeids=[row[1] for row in at_leaf],
                target_ids=[row[0] for row in at_leaf],
                target_weights_as_tensor=numpy_helper.from_array(
                    np.array([row[-1] for row in at_leaf], np.float64)
                ),
                post_transform="NONE",
                aggregate_function="SUM",
            )
        )
        numbers = writer.cast(output, TensorProto.INT64)
        starts = writer.constant([self.starts], np.int64)
        numbers = writer.node("Add", [numbers, starts])
        return writer.node("Gather", [writer.constant(self.leaves), numbers], axis=0)


def rounded(writer, value):
    """Round to 32 bits, as most libraries do with what they are given."""
    return writer.cast(writer.single(value))


def averaged_trees(model):
    """Return the probability of a decision tree or a forest of scikit-learn."""
    trees = [model] if hasattr(model, "tree_") else list(np.ravel(model.estimators_))
    forest = Forest("BRANCH_LEQ")
    for each in trees:
        tree = each.tree_
        counts = tree.value[:, 0, :]
        share = counts[:, 1] / counts.sum(axis=1) / len(trees)
        _add_sklearn(forest, tree, share)
    return lambda writer, value: forest.write(writer, rounded(writer, value))


def _add_sklearn(forest, tree, value):
    missing = getattr(tree, "missing_go_to_left", np.zeros(tree.node_count))
    forest.add(
        tree.children_left, tree.children_right, tree.feature, tree.threshold, missing, value
    )


def boosted_trees(model, path):
    """Return the log-odds of scikit-learn's GradientBoostingClassifier."""
    if type(model.init_).__name__ not in {"DummyClassifier", "str"} and model.init_ != "zero":
        raise refused_step(path, model, "starts from another model: fit it without init")
    forest = Forest("BRANCH_LEQ")
    for each in model.estimators_[:, 0]:
        _add_sklearn(forest, each.tree_, model.learning_rate * each.tree_.value[:, 0, 0])
    start = float(model._raw_predict_init(np.zeros((1, model.n_features_in_)))[0, 0])
    factor = 2.0 if model.loss == "exponential" else 1.0
    return lambda w, value: w.affine(forest.write(w, rounded(w, value)), factor, factor * start)


def histogram_trees(model, path):
    """Return the log-odds of scikit-learn's HistGradientBoostingClassifier."""
    forest = Forest("BRANCH_LEQ")
    for (predictor,) in model._predictors:
        nodes = predictor.nodes
        if nodes["is_categorical"].any():
            raise refused_step(path, model, "splits categories: one-hot encode them before it")
        leaf = nodes["is_leaf"].astype(bool)
        forest.add(
            np.where(leaf, -1, nodes["left"].astype(np.int64)),
            nodes["right"],
            nodes["feature_idx"],
            nodes["num_threshold"],
            nodes["missing_go_to_left"],
            nodes["value"],
        )
    start = float(np.ravel(model._baseline_prediction)[0])
    return lambda writer, value: writer.affine(forest.write(writer, value), 1.0, start)


def xgboost_trees(model, path):
    """Return the probability of XGBoost's XGBClassifier.

    It adds one tree after the other in 32 bits, and so does the graph: a calibration around it may
    magnify the last digit.
    """
    learner = json.loads(bytes(model.get_booster().save_raw("json")))["learner"]
    booster = learner["gradient_booster"]
    if learner["objective"]["name"] not in {"binary:logistic", "reg:logistic"}:
        raise refused_step(
            path, model, "has another objective: fit it with objective='binary:logistic'"
        )
    if booster["name"] != "gbtree":
        raise refused_step(
            path, model, "has another booster than gbtree: fit it with booster='gbtree'"
        )
    trees = booster["model"]["trees"]
    best = learner["attributes"].get("best_iteration")
    if best is not None:
        trees = trees[: booster["model"]["iteration_indptr"][int(best) + 1]]
    forest = Forest("BRANCH_LT")
    for tree in trees:
        if any(tree.get("split_type", [])):
            raise refused_step(path, model, "splits categories: one-hot encode them before it")
        conditions = np.float32(tree["split_conditions"])
        forest.add(
            tree["left_children"],
            tree["right_children"],
            tree["split_indices"],
            conditions,
            tree["default_left"],
            conditions,
        )
    base = float(np.float32(learner["learner_model_param"]["base_score"].strip("[]")))
    single = np.float32
    start = -np.log(single(1) / single(base) - single(1))

    def write(w, value):
        margin = w.node("CumSum", [w.single(_with_start(w, forest, value, start)), w.axis()])
        margin = w.columns(margin, [forest.trees])
        power = w.single(w.node("Exp", [w.cast(w.node("Neg", [margin]))]))
        return w.cast(w.node("Reciprocal", [w.node("Add", [power, w.constant(1.0, single)])]))

    return write


def _with_start(writer, forest, value, start):
    values = forest.values(writer, rounded(writer, value))
    first = writer.affine(writer.columns(values, [0]), 0.0, float(start))
    return writer.joined([first, values])


def lightgbm_trees(model, path):
    """Return the log-odds of LightGBM's LGBMClassifier."""
    booster = model.booster_ if hasattr(model, "booster_") else model
    dumped = booster.dump_model()
    objective = dumped["objective"].split()
    if objective[0] != "binary" or dumped.get("average_output"):
        raise refused_step(
            path,
            model,
            "has another objective, or averages (rf): fit it with objective='binary' and boosting",
        )
    forest = Forest("BRANCH_LEQ")
    for tree in dumped["tree_info"]:
        _add_lightgbm(forest, tree["tree_structure"], model, path)
    sigmoid = float(dict(e.split(":") for e in objective if ":" in e).get("sigmoid", 1))
    return lambda writer, value: writer.affine(forest.write(writer, value), sigmoid, 0.0)


def _add_lightgbm(forest, root, model, path):
    flat = []

    def visit(node):
        number = len(flat)
        flat.append(None)
        if "leaf_value" in node:
            flat[number] = (-1, -1, 0, 0.0, 0, node["leaf_value"])
            return number
        if node["decision_type"] != "<=":
            raise refused_step(path, model, "splits categories: one-hot encode them before it")
        # Without a type of missing values, a missing one counts as 0.
        missing = node["default_left"] if node["missing_type"] != "None" else node["threshold"] >= 0
        left, right = visit(node["left_child"]), visit(node["right_child"])
        flat[number] = (left, right, node["split_feature"], node["threshold"], missing, 0.0)
        return number

    visit(root)
    forest.add(*zip(*flat))


def catboost_trees(model, path):
    """Return the log-odds of CatBoost's CatBoostClassifier: trees with one split per level."""
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "model.json")  # noqa: PTH118
        model.save_model(file, format="json")
        with open(file, encoding="utf-8") as saved:  # noqa: PTH123
            dumped = json.load(saved)
    if "oblivious_trees" not in dumped:
        raise refused_step(
            path, model, "has trees that are not symmetric: fit it with grow_policy='SymmetricTree'"
        )
    loss = dumped["model_info"]["params"]["loss_function"]["type"]
    if loss not in {"Logloss", "CrossEntropy"}:
        raise refused_step(path, model, "has another loss: fit it with loss_function='Logloss'")
    trees = dumped["oblivious_trees"]
    splits = [split for tree in trees for split in (tree.get("splits") or ())]
    if any(split["split_type"] != "FloatFeature" for split in splits):
        raise refused_step(path, model, "takes categories itself: one-hot encode them before it")
    position = {
        e["feature_index"]: e["flat_feature_index"]
        for e in dumped["features_info"]["float_features"]
    }
    depth = max([len(tree.get("splits") or ()) for tree in trees] + [1])
    feature = np.zeros((len(trees), depth), np.int64)
    border = np.full((len(trees), depth), np.inf)
    leaves, offsets = [], []
    for number, tree in enumerate(trees):
        for level, split in enumerate(tree.get("splits") or ()):
            feature[number, level] = position[split["float_feature_index"]]
            border[number, level] = np.float32(split["border"])
        offsets.append(float(len(leaves)))
        leaves += tree["leaf_values"]
    scale, (bias,) = dumped["scale_and_bias"]

    def write(writer, value):
        chosen = writer.columns(rounded(writer, value), feature.ravel())
        beyond = writer.cast(
            writer.node("Greater", [chosen, writer.constant(border.ravel()[None])])
        )
        weights = np.kron(np.eye(len(trees)), 2.0 ** np.arange(depth)[:, None])
        numbers = writer.node("MatMul", [beyond, writer.constant(weights)])
        numbers = writer.node("Add", [numbers, writer.constant([offsets])])
        found = writer.cast(numbers, TensorProto.INT64)
        values = writer.node("Gather", [writer.constant(leaves), found], axis=0)
        return writer.affine(writer.total(values), scale, bias)

    return write

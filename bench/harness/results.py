"""The files that keep what benchmarks measured."""
import json


def merge(path, result, names):
    """Writes `result` into the file and returns it as written: networks that it has replace those of the file, the
    others stay, in the order of `names`."""
    done = {model["name"] for model in result["models"]}
    kept = json.loads(path.read_text())["models"] if path.exists() else []
    order = {name: i for i, name in enumerate(names)}
    whole = {**result, "models": sorted(result["models"] + [model for model in kept if model["name"] not in done],
                                        key=lambda model: order.get(model["name"], len(order)))}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=1) + "\n")
    return whole

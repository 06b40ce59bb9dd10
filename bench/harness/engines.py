"""How each engine loads a network and runs it once.

A loader takes a Job and returns a function without arguments that runs the network on the job's inputs and returns
{name: array}, the arrays being the caller's to keep. What an engine cannot do it raises.
"""
import dataclasses
import os
import pathlib
import subprocess
import sys
from typing import Callable


@dataclasses.dataclass
class Job:
    """What one engine process is to run."""

    model: pathlib.Path
    """The .onnx file."""
    feeds: dict
    """Inputs by name, numpy arrays."""
    threads: int
    compiled: pathlib.Path
    """The folder that compile-model wrote for this model."""
    scratch: pathlib.Path
    """A folder for what an engine makes of the model; it is kept between processes."""


def load_planish(job):
    import planish

    net = planish.load(job.compiled, threads=job.threads)
    return lambda: net(job.feeds)


def load_planish_form(job, form):
    """What was compiled next to the network: its float form."""
    return load_planish(dataclasses.replace(job, compiled=job.compiled.with_name(form)))


def onnxruntime_session(job, **options):
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads, settings.log_severity_level = job.threads, 1, 3
    for key, value in options.items():
        setattr(settings, key, value)
    session = onnxruntime.InferenceSession(str(job.model), settings, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda: dict(zip(names, session.run(names, job.feeds)))


def load_onnxruntime(job):
    return onnxruntime_session(job)


def load_reference(job):
    """ONNX Runtime without graph optimizations, some of which change results."""
    import onnxruntime

    return onnxruntime_session(job, graph_optimization_level=onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)


OPENVINO_OWN = "nncf.xml"
"""What OpenVINO's own quantizer made of the network, where it is to be measured."""


def openvino_request(job, **options):
    import numpy
    import openvino

    core = openvino.Core()
    own = job.scratch / OPENVINO_OWN
    model = core.read_model(str(own if own.exists() else job.model))
    model.reshape({name: list(value.shape) for name, value in job.feeds.items()})
    compiled = core.compile_model(model, "CPU", {
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": job.threads, "NUM_STREAMS": 1, **options})
    request = compiled.create_infer_request()
    for name, value in job.feeds.items():
        request.set_tensor(name, openvino.Tensor(value))
    names = [next(iter(sorted(output.get_names())), str(i)) for i, output in enumerate(compiled.outputs)]

    def run():
        request.infer()
        return {name: numpy.array(request.get_output_tensor(i).data) for i, name in enumerate(names)}

    return run


def load_openvino(job):
    return openvino_request(job, INFERENCE_PRECISION_HINT="f32")


def load_openvino_default(job):
    """Whatever precision it prefers on this CPU: bf16 where there are instructions for it."""
    return openvino_request(job)


def load_openvino_vnni(job):
    """Without AMX: the instructions that Planish uses. To be said before the package is loaded."""
    os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX512_CORE_VNNI"
    return load_openvino(job)


def prepare_ncnn(job):
    """Converts with pnnx, once."""
    folder = job.scratch / "ncnn"
    param = folder / "m.ncnn.param"
    if param.exists():
        return
    folder.mkdir(exist_ok=True)
    link = folder / "m.onnx"
    if not link.exists():
        os.symlink(job.model.absolute(), link)
    shapes = ",".join("[" + ",".join(map(str, value.shape)) + "]" for value in job.feeds.values())
    pnnx = pathlib.Path(sys.executable).with_name("pnnx")
    done = subprocess.run([str(pnnx), str(link), f"inputshape={shapes}", "fp16=0"], cwd=folder, capture_output=True,
                          text=True, timeout=300)
    if not param.exists():
        said = (done.stdout + done.stderr).strip().splitlines() or [f"exit code {done.returncode}"]
        raise RuntimeError(f"pnnx: {said[-1]}")


def load_ncnn(job):
    import ncnn
    import numpy

    param = job.scratch / "ncnn" / "m.ncnn.param"
    net = ncnn.Net()
    net.opt.num_threads = job.threads
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage", "bf16_packed"):
        if hasattr(net.opt, f"use_{option}"):
            setattr(net.opt, f"use_{option}", False)
    if net.load_param(str(param)) or net.load_model(str(param.with_suffix(".bin"))):
        raise RuntimeError("ncnn refused the converted model")
    inputs = [ncnn.Mat(value[0]).clone() for value in job.feeds.values()]

    def run():
        extractor = net.create_extractor()
        for name, value in zip(net.input_names(), inputs):
            extractor.input(name, value)
        outputs = {}
        for name in net.output_names():
            status, value = extractor.extract(name)
            if status:
                raise RuntimeError(f"ncnn cannot compute {name}")
            outputs[name] = numpy.array(value)
        return outputs

    return run


@dataclasses.dataclass(frozen=True)
class Engine:
    title: str
    package: str
    """What it is called on PyPI, empty for our own."""
    load: Callable
    rival: bool
    """Counts when the best of the others is looked for: it computes in f32."""
    prepare: Callable = lambda job: None
    """What is done with a model once, before it is loaded."""


REFERENCE = Engine("ONNX Runtime, unoptimized", "onnxruntime", load_reference, False)
ENGINES = {
    "planish": Engine("Planish", "", load_planish, False),
    "onnxruntime": Engine("ONNX Runtime", "onnxruntime", load_onnxruntime, True),
    "openvino": Engine("OpenVINO f32", "openvino", load_openvino, True),
    "ncnn": Engine("ncnn f32", "ncnn", load_ncnn, True, prepare_ncnn),
    "openvino_default": Engine("OpenVINO default", "openvino", load_openvino_default, False),
}
INT8_ENGINES = {
    "planish": ENGINES["planish"],
    "onnxruntime": ENGINES["onnxruntime"],
    "openvino_vnni": Engine("OpenVINO, VNNI", "openvino", load_openvino_vnni, True),
    "openvino": Engine("OpenVINO, as it comes", "openvino", load_openvino, False),
    "planish_f32": Engine("Planish f32", "", lambda job: load_planish_form(job, "planish_f32"), False),
    "planish_strict": Engine("Planish f32, strict", "", lambda job: load_planish_form(job, "planish_strict"), False),
}
"""For networks of 8-bit codes; the float forms of the same network are compiled next to it."""
INT8_RIVALS = [name for name, engine in INT8_ENGINES.items() if engine.rival]

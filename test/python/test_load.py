"""planish.load and the models it gives, on a model written by hand."""

import subprocess
import sys
import threading

import numpy
import pytest
from conftest import build_handmade

planish = pytest.importorskip("planish")


@pytest.fixture
def net(handmade):
    return planish.load(handmade, threads=2)


@pytest.fixture
def inputs(images):
    return {"images": images, "gain": numpy.float32(2), "offset": 3}


def test_computes_from_keywords_and_from_a_dict(net, inputs):
    want = inputs["images"] * numpy.float32(2) + 3
    for outputs in (net(**inputs), net(inputs), net({"images": inputs["images"]}, gain=2.0, offset=numpy.int64(3))):
        assert list(outputs) == ["scaled", "size"]
        assert outputs["scaled"].dtype == numpy.float32 and numpy.array_equal(outputs["scaled"], want)
        assert outputs["size"].shape == () and outputs["size"] == want.size


@pytest.mark.parametrize("n", [1, 2, 4])
def test_follows_the_size_of_its_input(net, n):
    images = numpy.ones((n, 3, 4, 5), numpy.float32)
    assert net(images=images, gain=1.0, offset=0)["scaled"].shape == (n, 3, 4, 5)


def test_outputs_belong_to_the_caller(net, inputs):
    first = net(**inputs)["scaled"]
    kept = first.copy()
    net(images=inputs["images"], gain=100.0, offset=0)
    assert numpy.array_equal(first, kept)
    first[:] = 0


@pytest.mark.parametrize("change", [
    lambda x: numpy.asfortranarray(x), lambda x: numpy.repeat(x, 2, axis=3)[..., ::2],
    lambda x: numpy.frombuffer(b"\0" + x.tobytes(), numpy.uint8)[1:].view(numpy.float32).reshape(x.shape),
], ids=["fortran", "strided", "misaligned"])
def test_takes_arrays_of_any_layout(net, inputs, change):
    want = net(**inputs)["scaled"]
    images = change(inputs["images"])
    assert numpy.array_equal(net(images=images, gain=2.0, offset=3)["scaled"], want)


def test_takes_dlpack(net, inputs):
    class Foreign:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **arguments):
            return self.array.__dlpack__(**arguments)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    want = net(**inputs)["scaled"]
    assert numpy.array_equal(net(images=Foreign(inputs["images"]), gain=2.0, offset=3)["scaled"], want)


@pytest.mark.parametrize("change, error, text", [
    ({"picture": 1}, TypeError, "there is no input 'picture', the model has 'images', 'gain', 'offset'"),
    ({"images": None}, TypeError, "input 'images' is float32, given is object"),
    ({"images": numpy.zeros((1, 3, 4, 5))}, TypeError, "input 'images' is float32, given is float64"),
    ({"images": numpy.zeros((1, 3, 4, 5), ">f4")}, TypeError, "input 'images' is float32, given is >f4"),
    ({"images": numpy.zeros((1, 3, 4, 6), "f4")}, ValueError, "input 'images': dimension 3 must be 5, given is 6"),
    ({"images": numpy.zeros((9, 3, 4, 5), "f4")}, ValueError, "dimension 0 must be between 1 and 4, given is 9"),
    ({"images": numpy.zeros((3, 4, 5), "f4")}, ValueError, "input 'images' has rank 4, given is rank 3"),
    ({"offset": 13}, planish.RunError, "model 'handmade': offset 13 is not allowed"),
])
def test_mistakes_are_named(net, inputs, change, error, text):
    with pytest.raises(error) as caught:
        net({**inputs, **change})
    assert text in str(caught.value)
    assert net(**inputs)["size"] == inputs["images"].size


def test_calls_without_all_inputs_are_refused(net, inputs):
    with pytest.raises(TypeError, match="input 'gain' is missing"):
        net(images=inputs["images"])
    for wrong in ((inputs["images"],), (inputs, inputs)):
        with pytest.raises(TypeError, match="inputs are given by name"):
            net(*wrong)


def test_describes_itself(handmade):
    net = planish.load(handmade, threads=3)
    assert (net.name, net.target, net.build_id, net.threads) == ("handmade", "cpu:any", "0123456789abcdef", 3)
    assert [(i.name, i.dtype, i.shape) for i in net.inputs] == [
        ("images", numpy.float32, ((1, 4), 3, 4, 5)), ("gain", numpy.float32, ()), ("offset", numpy.int64, ())]
    assert repr(net.outputs[1]) == "TensorInfo(name='size', dtype=int64, shape=())"
    assert net.memory_bytes > 2 * 4 * 240 and net.weights_bytes == 0


def test_threads_may_share_a_model(net, inputs):
    wrong = []

    def use(gain):
        want = inputs["images"] * numpy.float32(gain) + 1
        for _ in range(200):
            if not numpy.array_equal(net(images=inputs["images"], gain=float(gain), offset=1)["scaled"], want):
                wrong.append(gain)

    users = [threading.Thread(target=use, args=(gain,)) for gain in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert not wrong


def test_refuses_what_is_no_model(tmp_path):
    with pytest.raises(planish.LoadError, match="holds no compiled model"):
        planish.load(tmp_path)
    (tmp_path / "libx.so").write_bytes(b"nonsense")
    with pytest.raises(planish.LoadError, match="libx.so"):
        planish.load(tmp_path)


def test_refuses_other_versions_cpus_and_thread_counts(tmp_path, handmade):
    with pytest.raises(planish.LoadError, match="another version of the runtime interface"):
        planish.load(build_handmade(tmp_path / "other", "-DHANDMADE_ABI=77"))
    with pytest.raises(planish.LoadError, match="this CPU lacks"):
        planish.load(build_handmade(tmp_path / "future", "-DHANDMADE_FEATURES=0x4000000000000000"))
    with pytest.raises(ValueError, match="options.threads is -1"):
        planish.load(handmade, threads=-1)


def test_importing_and_running_need_no_compiler(handmade):
    script = ("import sys, planish; planish.load(sys.argv[1]);"
              "assert 'planish._compiler' not in sys.modules;"
              "assert 'LLVM' not in open('/proc/self/maps').read()")
    subprocess.run([sys.executable, "-c", script, handmade], check=True)


def test_nothing_leaks(net, inputs):
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1])

    for _ in range(2000):
        net(**inputs)
    before = resident()
    for _ in range(20000):
        net(**inputs)
    assert resident() - before < 256  # pages

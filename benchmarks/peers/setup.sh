#!/bin/sh
# Install OpenNMT-py and JoeyNMT into an environment of their own.
#
#     benchmarks/peers/setup.sh [FOLDER]      # default .peers; PYTHON=python3.11 chooses the Python
#
# Both ask for versions of torch and protobuf that do not install beside today's, so they come
# without their requirements, after what they import for this work.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
folder=${1:-"$root/.peers"}
python=${PYTHON:-python3}
torch=$(sed -n '/^torch==/p' "$root/constraints.txt")

"$python" -m venv "$folder"
install() { "$folder/bin/python" -m pip install -qq --disable-pip-version-check "$@"; }

# torch by its exact pin and first: the build at hand (such as a CPU wheel) is taken, and then kept
install "$torch"
install "$torch" numpy pyyaml six packaging sacrebleu tensorboard ctranslate2 \
    'pyonmttok>=1.37,<2' configargparse rapidfuzz pyahocorasick \
    sentencepiece==0.2.0 subword-nmt sacremoses matplotlib pandas importlib_metadata datasets tqdm
install --no-deps OpenNMT-py==3.5.1 joeynmt==2.3.0

# OpenNMT-py imports these two for transforms that are not used here: empty modules will do
packages=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
: >"$packages/fasttext.py"
: >"$packages/spacy.py"

for command in "$folder/bin/onmt_train" "$folder/bin/python -m joeynmt"; do
    $command --help >/dev/null 2>"$folder/errors.txt" || { cat "$folder/errors.txt" >&2; exit 1; }
done
echo "OpenNMT-py and JoeyNMT with $torch are in $folder"

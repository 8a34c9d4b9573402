# shellcheck shell=bash disable=SC2034
# A site of PBS, Grid Engine or HTCondor in one place: copy to batch/sites/NAME.sh, edit, export SUITE_SITE=NAME. Plain
# assignments; an unknown name is refused. (Slurm's sites are in slurm/sites.)
# What programs read themselves (network interfaces and the like) is exported at the end.

SITE_QUEUE=                          # of qsub -q; empty: the default one. Not for HTCondor
SITE_ACCOUNT=${SUITE_ACCOUNT:-}      # that is charged (PBS -A, Grid Engine -P, HTCondor accounting_group); none: there are none
SITE_MAX_TIME=                       # longest job, HH:MM:SS; longer plans pause and are continued; empty: no limit
SITE_GPUS_PER_NODE=0                 # 0: train on CPUs, one worker for each slot but one
SITE_CPUS_PER_NODE=0                 # PBS, HTCondor: divided among a node's ranks; 0: one each
SITE_PE=                             # Grid Engine: the parallel environment for MPI (qconf -spl lists them)
SITE_SUBMIT_ARGS=''                  # further options of qsub, as the site wants them, e.g. '-l filesystems=home' or '-l gpu=4'
SITE_MODULES=''                      # to load, separated by blanks, e.g. 'GCC OpenMPI apptainer'
SITE_MPI=mpirun                      # Open MPI 5's
SITE_MPI_ARGS=''                     # further options of mpirun
SITE_BINDS=''                        # folders for the container, SOURCE[:TARGET[:ro]], separated by commas; SUITE_RUNS,
                                     # SUITE_DATA and what the site binds by itself need no mention
SITE_BIND_MPI=                       # empty: the image's own MPI. A folder, or auto (that of mpirun on the PATH, after
                                     # SITE_MODULES): the MPI of this site is bound into the image in its place
SITE_GPU_FLAG=''                     # of apptainer: --nv, --rocm, or empty
SITE_ARGS=''                         # settings of the suite for every run here, e.g. 'tracking=later'

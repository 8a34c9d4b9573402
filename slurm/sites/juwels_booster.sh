# shellcheck shell=bash disable=SC2034
# JUWELS Booster, Forschungszentrum Juelich. NOT RUN THERE.
# From the centre's pages (apps.fz-juelich.de/jsc/hps/juwels): an account always; $HOME, $PROJECT, $SCRATCH on login and
# compute nodes, named by `jutil env activate -p PROJECT`; ParaStation's psslurm in the place of slurmd.
# From job scripts that others published: partitions booster and develbooster, --gres=gpu:4, modules GCC and OpenMPI.
# NOT CHECKED, ask sinfo and module spider: 24 h at most, 48 cores and 4 A100 a node, Open MPI 5 behind the module's name
# (else SITE_MPI=pmix where srun --mpi=list has it), apptainer on compute nodes and the consent it needs.

SITE_PARTITION=${SUITE_PARTITION:-booster}
SITE_ACCOUNT=${SUITE_ACCOUNT:-}
SITE_MAX_TIME=24:00:00
SITE_GPUS_PER_NODE=4
SITE_GRES=gpu
SITE_CPUS_PER_NODE=48
SITE_MODULES='GCC OpenMPI'
SITE_MPI=mpirun
SITE_MPI_ARGS=''
SITE_BINDS=${SCRATCH:+$SCRATCH}
SITE_GPU_FLAG=--nv
SITE_ARGS='tracking=later'

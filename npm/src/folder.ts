/** The folder that a store keeps a URL's versions in. Rejects where there is no origin private file system. */
export async function snapshotDirectory(folder: string, url: string, create: boolean): Promise<FileSystemDirectoryHandle> {
  const [root, digest] = await Promise.all([navigator.storage.getDirectory(), crypto.subtle.digest('SHA-256', new TextEncoder().encode(url))]);
  const name = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return (await root.getDirectoryHandle(folder, { create })).getDirectoryHandle(name, { create });
}
